"""Where the command's settings come from: the environment, or the file that the local stack writes for its operator."""

import shlex
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from deploy.cli.errors import Misuse, Trouble
from libs.config.settings import PREFIX, Settings, SettingsError, load

MARK = f"{PREFIX}AMQP_URL"
LOCAL = Path(".valet", "env")
REPOSITORY = Path(__file__).resolve().parents[2]


def complete(environ: MutableMapping[str, str], given: Path | None) -> Path | None:
    """Fill in VALET_* settings from `given`, or from the local stack's file where VALET_AMQP_URL is absent.

    What the environment says already stays. The file that was used, or None. Raises Misuse if
    `given` cannot be read, Trouble if the local stack's cannot.
    """
    file = given or (None if environ.get(MARK) else _local())
    if file is None:
        return None
    try:
        found = parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        kind = Misuse if given else Trouble
        raise kind(f"the settings file {file} cannot be read", "name a file of lines like VALET_X=value") from None
    for name, value in found.items():
        environ.setdefault(name, value)
    return file


def parse(text: str) -> dict[str, str]:
    """The VALET_* settings of a file of `export NAME=value` lines. Nothing is run. Raises ValueError for open quotes."""
    words = [word for line in text.splitlines() for word in shlex.split(line, comments=True)]
    pairs = (word.partition("=") for word in words if word.startswith(PREFIX))
    return {name: value for name, sign, value in pairs if sign}


def settings(*required: str) -> Settings:
    """The settings. Raises Trouble that names each variable at fault and what to do."""
    try:
        return load(*required)
    except SettingsError as error:
        raise Trouble(
            str(error), "set it, or start the local stack, which writes .valet/env; then run `valet doctor`"
        ) from None


def settings_of(environ: Mapping[str, str]) -> Settings:
    """Settings from this mapping alone. Raises Trouble if one is not valid."""
    found = faults(environ)
    if found:
        raise Trouble(f"these settings are not valid: {', '.join(found)}", "run `valet doctor`")
    return _Given.model_validate(_values(environ))


def faults(environ: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with each setting of this mapping: name to text. Values are not shown."""
    try:
        _Given.model_validate(_values(environ))
    except ValidationError as error:
        return {
            PREFIX + str(fault["loc"][0]).upper(): fault["msg"].removeprefix("Value error, ")
            for fault in error.errors()
        }
    return {}


class _Given(Settings):
    """Settings that look at what they are given and not at the process's environment."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def _values(environ: Mapping[str, str]) -> dict[str, str]:
    """By field; an empty value is none, as in the environment."""
    given = {name: value for name, value in environ.items() if name.startswith(PREFIX) and value}
    return {name.removeprefix(PREFIX).lower(): value for name, value in given.items()}


def _local() -> Path | None:
    return next((file for file in (LOCAL, REPOSITORY / LOCAL) if file.is_file()), None)
