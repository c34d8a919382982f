"use strict";
/* A ticket's page reads itself anew when something about it changes, unless a person is filling a form in. */
(() => {
  const page = document.querySelector("[data-ticket]");
  const id = Number(page.dataset.ticket);
  let pending = null;
  const busy = () => page.querySelector("details[open] form") || page.contains(document.activeElement) && document.activeElement.matches("input, select");
  function refresh() {
    pending = null;
    if (busy()) { soon(3000); return; }
    htmx.trigger(page, "refresh");
  }
  function soon(ms) { pending ??= setTimeout(refresh, ms); }
  const source = new EventSource("/api/v1/changes");
  source.addEventListener("heartbeat", (event) => Shouwang.setNow(JSON.parse(event.data).now));
  source.addEventListener("change", (event) => {
    const change = JSON.parse(event.data);
    if ((change.kind === "ticket" && change.id_of === id) || change.what.ticket === id) soon(400);
  });
  window.addEventListener("pagehide", () => source.close());
})();
