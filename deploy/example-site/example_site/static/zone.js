// Tells the server the visitor's time zone, once, in a cookie that ends with the browser's session.
(function () {
  if (document.documentElement.dataset.zone !== "unknown") return;
  var zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  var cookie = "zone=" + zone;
  if (!zone || document.cookie.split("; ").indexOf(cookie) >= 0) return; // the server does not know this zone
  document.cookie = cookie + "; path=/; secure; samesite=lax";
  if (document.cookie.split("; ").indexOf(cookie) >= 0) location.reload(); // not where cookies are off
})();
