"use strict";
/* The hall's page follows along: changes by server-sent events, figures, queue, sound, announcements. */
(() => {
  const { text, setNow, language } = Shouwang;
  const filter = document.querySelector("[data-filter]");
  const link = document.querySelector("[data-link]");
  const announce = document.querySelector("[data-announce]");
  const QUIET_MS = 40000;
  /* one change shows at once; many are followed at a pace one can read, and not by every hall at the same moment */
  const SOON_MS = 300, AGAIN_MS = 1500 + 1000 * Math.random();
  let source, lastHeard = 0, seen = null, pending = null, refreshed = 0;

  /* figures */
  const whole = new Intl.NumberFormat(language === "zh" ? "zh-CN" : "en");
  const alarming = { silent: "warn", gateways_down: "bad", unproven: "warn" };
  function showFigures(figures) {
    for (const [name, value] of Object.entries(figures)) {
      const box = document.querySelector(`[data-figure="${name}"]`);
      const shown = box.querySelector("dd");
      shown.textContent = value === null ? "—" : whole.format(Math.round(value));
      if (name === "lag_ms" && value !== null) {
        const unit = document.createElement("small");
        unit.textContent = text("unit.ms");
        shown.append(unit);
      }
      if (alarming[name]) box.classList.toggle(alarming[name], value > 0);
      if (name === "lag_ms") box.classList.toggle("bad", value > 5000);
    }
  }

  async function refreshState() {
    const answer = await fetch("/api/v1/state", { headers: { Accept: "application/json" } });
    if (answer.status === 401) { location.assign("/signin"); return; }
    if (!answer.ok) return;
    const state = await answer.json();
    setNow(state.now);
    showFigures(state.figures);
    ShouwangMap.show(state.sites);
    seen ??= state.change;
  }
  const refreshQueue = () => htmx.trigger(filter, "refresh");
  function soon() {
    pending ??= setTimeout(() => {
      pending = null;
      refreshed = Date.now();
      refreshState().catch(offline);
      refreshQueue();
    }, Math.max(SOON_MS, refreshed + AGAIN_MS - Date.now()));
  }

  /* queue: tabs and pages live in hidden fields of the filter */
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-tab], [data-page]");
    if (!button) return;
    if (button.dataset.tab) { filter.elements.tab.value = button.dataset.tab; filter.elements.page.value = 0; }
    else filter.elements.page.value = button.dataset.page;
    refreshQueue();
  });
  filter.addEventListener("change", () => { filter.elements.page.value = 0; ShouwangMap.filter(chosen()); });
  const chosen = () => ({
    severity: Number(filter.elements.severity.value), hazard: filter.elements.hazard.value, grid: filter.elements.grid.value,
  });
  document.addEventListener("shouwang:grid", (event) => {
    filter.elements.grid.value = event.detail;
    filter.dispatchEvent(new Event("change", { bubbles: true }));
  });

  /* sound: only after a person has switched it on, as browsers demand */
  const sound = document.querySelector("[data-sound]");
  let audio = null;
  sound.addEventListener("click", async () => {
    const on = sound.getAttribute("aria-pressed") !== "true";
    sound.setAttribute("aria-pressed", on);
    if (on) { audio ??= new AudioContext(); await audio.resume(); beep(1); }
  });
  function beep(times) {
    if (!audio || sound.getAttribute("aria-pressed") !== "true") return;
    for (let n = 0; n < times; n += 1) {
      const start = audio.currentTime + n * 0.35;
      const tone = audio.createOscillator();
      const volume = audio.createGain();
      tone.frequency.value = 880;
      volume.gain.setValueAtTime(0.0001, start);
      volume.gain.exponentialRampToValueAtTime(0.25, start + 0.02);
      volume.gain.exponentialRampToValueAtTime(0.0001, start + 0.25);
      tone.connect(volume).connect(audio.destination);
      tone.start(start);
      tone.stop(start + 0.3);
    }
  }

  /* announcements */
  const said = { opened: "live.opened", paged: "live.opened", reopened: "live.reopened", raised: "live.raised" };
  let silent = null;
  function tell(change) {
    const about = change.alert;
    const key = said[change.what.action];
    if (!about || !key || about.state !== "open") return;
    const place = about.place ? about.place[language === "zh" ? 0 : 1] : text("map.nowhere");
    announce.textContent = text(key, {
      severity: text(`severity.${about.level}`), hazard: text(`hazard.${about.hazard}`), place,
    });
    clearTimeout(silent);
    silent = setTimeout(() => { announce.textContent = ""; }, 12000);
    ShouwangMap.pulse(about.site, about.level);
    if (about.level >= 4) beep(3);
  }

  /* the stream */
  function heard() {
    lastHeard = Date.now();
    link.className = "link up";
    link.textContent = text("live.connected");
  }
  function offline() {
    link.className = "link down";
    link.textContent = text("live.lost");
  }
  function connect() {
    source?.close();
    source = new EventSource(`/api/v1/changes${seen === null ? "" : `?after=${seen}`}`);
    source.addEventListener("open", () => { heard(); soon(); });
    source.addEventListener("error", offline);
    source.addEventListener("heartbeat", (event) => { heard(); setNow(JSON.parse(event.data).now); });
    source.addEventListener("reset", (event) => { seen = Number(event.lastEventId); soon(); });
    source.addEventListener("change", (event) => {
      heard();
      seen = Number(event.lastEventId);
      const change = JSON.parse(event.data);
      if (change.kind === "alert") tell(change);
      soon();
    });
  }
  setInterval(() => {
    if (Date.now() - lastHeard > QUIET_MS || source.readyState === EventSource.CLOSED) { offline(); lastHeard = Date.now(); connect(); }
  }, 5000);
  setInterval(() => refreshState().catch(offline), 2000);

  ShouwangMap.load().then(refreshState).then(() => { lastHeard = Date.now(); connect(); }).catch(offline);
  window.addEventListener("pagehide", () => source?.close());
})();
