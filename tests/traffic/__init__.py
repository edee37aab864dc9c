"""The calls that Valet made to the sandbox in a test run, judged by the providers' own descriptions and by the allow-list."""
