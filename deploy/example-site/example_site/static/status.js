// Keeps a status page up to date: asks for its changing part until nothing more is expected, quickly at first.
(function () {
  var path = location.pathname + "/now", pause = 400;
  function show(text) {
    var fresh = new DOMParser().parseFromString(text, "text/html").getElementById("progress");
    var shown = document.getElementById("progress");
    if (!fresh || fresh.isEqualNode(shown)) return; // left alone, the focus stays where it is
    shown.replaceWith(fresh);
    document.title = document.title.replace(/^.*(?= · )/, fresh.dataset.title);
    document.getElementById("said").textContent = fresh.dataset.title + ". " + fresh.querySelector(".lead").textContent;
  }
  function over() { return "over" in document.getElementById("progress").dataset; }
  function ask() {
    fetch(path, { credentials: "same-origin" })
      .then(function (answer) { return answer.ok ? answer.text() : Promise.reject(); })
      .then(show)
      .catch(function () { pause = 3000; })
      .finally(function () {
        if (over()) return;
        pause = Math.min(pause * 1.15, 3000);
        setTimeout(ask, pause);
      });
  }
  if (!over()) ask();
})();
