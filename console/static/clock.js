"use strict";
/* The server's time, texts in the page's language, and everything that counts. */
const Shouwang = (() => {
  const texts = JSON.parse(document.body.dataset.texts);
  let ahead = Number(document.body.dataset.now) / 1000 - Date.now();

  const now = () => Date.now() + ahead;
  const setNow = (micros) => { ahead = micros / 1000 - Date.now(); };

  function text(key, values = {}) {
    return (texts[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  }

  const sizes = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  function span(seconds) {
    seconds = Math.floor(Math.abs(seconds));
    const parts = [];
    for (const [unit, size] of sizes) {
      const count = Math.floor(seconds / size);
      seconds -= count * size;
      if (count) parts.push(`${count} ${text("unit." + unit)}`);
      else if (parts.length) break;
    }
    return parts.slice(0, 2).join(" ") || `0 ${text("unit.s")}`;
  }

  const zone = 8 * 3600 * 1000; /* Asia/Shanghai, without summer time since 1991 */
  const wall = (at) => new Date(at + zone).toISOString().slice(5, 19).replace("T", " ");

  function tick() {
    const at = now();
    for (const each of document.querySelectorAll("[data-due]")) {
      const left = (Number(each.dataset.due) / 1000 - at) / 1000;
      each.textContent = left < 0 ? text("live.over", { span: span(left) }) : span(left);
      const around = each.closest(".left");
      around?.classList.toggle("over", left < 0);
      around?.classList.toggle("soon", left >= 0 && left < 120);
    }
    for (const each of document.querySelectorAll("[data-since]")) {
      each.textContent = text("live.ago", { span: span((at - Number(each.dataset.since) / 1000) / 1000) });
    }
    const shown = wall(at);
    for (const each of document.querySelectorAll("[data-wall]")) {
      each.textContent = each.dataset.wall === "short" ? shown.slice(-8, -3) : shown;
    }
  }
  setInterval(tick, 1000);
  document.addEventListener("htmx:afterSwap", tick);
  tick();
  return { now, setNow, text, span, wall, language: document.body.dataset.language };
})();
