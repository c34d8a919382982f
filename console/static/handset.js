"use strict";
/* Photos over a weak network, and positions of those who agreed to share theirs. Without it plain forms do the first. */
(() => {
  const longest = 1600; /* pixels of a photo's longer side */
  const small = 300_000; /* bytes that need not be made smaller */
  const interval = 120_000; /* ms between two positions */
  const text = Shouwang.text;

  /* photos */

  let number = 0;
  let under_way = 0;

  async function smaller(file) {
    try {
      const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
      const scale = Math.min(1, longest / Math.max(picture.width, picture.height));
      if (scale === 1 && file.size <= small) return file;
      const canvas = document.createElement("canvas");
      canvas.width = Math.round(picture.width * scale);
      canvas.height = Math.round(picture.height * scale);
      canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      picture.close();
      const made = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.82));
      return made && (scale < 1 || made.size < file.size) ? made : file;
    } catch {
      return file; /* the server says what is wrong with it */
    }
  }

  /* {ok, why, again}: `again` where the network or the server may do better later */
  function send(address, form, progress) {
    return new Promise((done) => {
      const request = new XMLHttpRequest();
      request.open("POST", address);
      request.setRequestHeader("Accept", "application/json");
      request.timeout = 120_000;
      request.upload.onprogress = (event) => progress(Math.round((100 * event.loaded) / event.total));
      request.onerror = request.ontimeout = () => done({ ok: false, again: true });
      request.onload = () => {
        const again = request.status >= 500 || request.status === 429;
        let why = String(request.status);
        try {
          why = JSON.parse(request.responseText).error[Shouwang.language] ?? why;
        } catch { /* not ours: its number must do */ }
        done({ ok: request.status === 200, again, why });
      };
      request.send(form);
    });
  }

  const pause = (seconds) =>
    new Promise((done) => {
      const timer = setTimeout(done, seconds * 1000);
      window.addEventListener("online", () => { clearTimeout(timer); done(); }, { once: true });
    });

  async function upload(address, file, line) {
    const its = ++number;
    const say = (key, values) => { line.textContent = text(`upload.${key}`, { number: its, ...values }); };
    say("smaller");
    const form = new FormData();
    form.append("photo", await smaller(file), "photo.jpg");
    form.append("taken", String(file.lastModified || Date.now()));
    for (const [name, value] of Object.entries(spot())) form.append(name, value);
    for (let seconds = 2; ; seconds = Math.min(60, seconds * 2)) {
      const answer = await send(address, form, (percent) => say("sending", { percent }));
      if (answer.ok) { say("done"); line.className = "said good"; return true; }
      if (!answer.again) { say("failed", { why: answer.why }); line.className = "said bad"; return false; }
      say("again", { seconds });
      await pause(seconds);
    }
  }

  async function uploadAll(form, files) {
    const around = document.getElementById("uploads");
    const waiting = [...files].map((file) => {
      const line = around.appendChild(document.createElement("p"));
      line.className = "said";
      return [file, line];
    });
    under_way += waiting.length;
    for (const [file, line] of waiting) { /* one after the other: a weak network carries one better than many */
      const kept = await upload(form.action, file, line);
      under_way -= 1;
      if (kept) setTimeout(() => line.remove(), 8000);
    }
    if (!under_way) htmx.ajax("GET", location.pathname, { target: "#cards", select: "#cards", swap: "outerHTML" });
  }

  /* choosing is enough: the button is for browsers without scripts */
  const tidy = () => { for (const each of document.querySelectorAll("[data-plain]")) each.hidden = true; };
  document.addEventListener("htmx:afterSwap", tidy);
  tidy();

  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-photos]");
    if (!form || !event.target.files?.length) return;
    uploadAll(form, event.target.files);
    form.reset();
  });
  window.addEventListener("beforeunload", (event) => { if (under_way) event.preventDefault(); });

  /* what somebody is writing, or sending, is not swapped away by the page's own refreshing */
  document.addEventListener("htmx:beforeRequest", (event) => {
    const writing = document.querySelector("#cards details[open]") || under_way;
    if (event.target.matches?.("[data-poll]") && writing) event.preventDefault();
  });

  /* a tap that did not get through is told, and never takes the tickets off the page */
  function tell(why) {
    const cards = document.getElementById("cards");
    cards.querySelector("[data-unsent]")?.remove();
    const line = document.createElement("p");
    line.className = "said bad";
    line.dataset.unsent = "";
    line.setAttribute("role", "alert");
    line.textContent = why;
    cards.prepend(line);
    cards.scrollIntoView();
  }
  const polls = (event) => event.detail.elt.matches("[data-poll]");
  const unsent = (event) => { if (!polls(event)) tell(text("upload.unsent")); };
  document.addEventListener("htmx:sendError", unsent);
  document.addEventListener("htmx:timeout", unsent);
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.xhr.status < 400) return;
    const page = new DOMParser().parseFromString(event.detail.serverResponse, "text/html");
    if (page.getElementById("cards")) return;
    event.detail.shouldSwap = false;
    if (!polls(event)) tell(page.querySelector("[role=alert]")?.textContent ?? text("upload.unsent"));
  });

  /* positions */

  const allowed = "shouwang-share";
  let last = null;
  let watching = null;

  const spot = () =>
    last && Date.now() - last.at < 2 * interval ? { lng: last.lng, lat: last.lat, accuracy: last.accuracy, at: last.at } : {};
  const taken = (position) => ({
    lng: position.coords.longitude, lat: position.coords.latitude, accuracy: position.coords.accuracy, at: position.timestamp,
  });
  const rounded = (found) => ({ ...found, at: Math.round(found.at) });

  function start(around) {
    let sent = 0;
    const address = around.dataset.share;
    const shown = around.querySelector("[data-said]");
    watching = navigator.geolocation.watchPosition(
      (position) => {
        last = rounded(taken(position));
        shown.textContent = text("share.taken", { metres: Math.round(last.accuracy) });
        if (Date.now() - sent < interval) return;
        sent = Date.now();
        fetch(address, { method: "POST", body: new URLSearchParams(last) }).catch(() => { sent = 0; });
      },
      () => { shown.textContent = text("share.denied"); },
      { enableHighAccuracy: true, maximumAge: 30_000 },
    );
  }

  function stop(around) {
    if (watching !== null) navigator.geolocation.clearWatch(watching);
    watching = last = null;
    around.querySelector("[data-said]").textContent = text("share.about");
    fetch(`${around.dataset.share}/forget`, { method: "POST" }).catch(() => {});
  }

  function remember(on) {
    try { localStorage.setItem(allowed, on ? "on" : "off"); } catch { /* asked again next time */ }
  }
  function remembered() {
    try { return localStorage.getItem(allowed) === "on"; } catch { return false; }
  }

  function show(around, on) {
    const button = around.querySelector("button");
    button.setAttribute("aria-pressed", String(on));
    button.textContent = text(on ? "share.off" : "share.on");
  }

  const sharing = document.querySelector("[data-share]");
  if (sharing && navigator.geolocation) {
    sharing.hidden = false;
    if (remembered()) { show(sharing, true); start(sharing); }
    sharing.querySelector("button").addEventListener("click", () => {
      const on = watching === null;
      remember(on);
      show(sharing, on);
      if (on) start(sharing); else stop(sharing);
    });
    document.querySelector("[data-forget]")?.addEventListener("submit", () => remember(false));
  }

  /* an arrival says how near the phone is; htmx sends the form, so it is told what to add */
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.target.matches?.("form[data-position]")) Object.assign(event.detail.parameters, spot());
  });

  /* a report takes the position once, when asked */
  const here = document.querySelector("[data-here]");
  if (here && navigator.geolocation) {
    here.hidden = false;
    here.querySelector("button").addEventListener("click", () => {
      const shown = here.querySelector("[data-said]");
      navigator.geolocation.getCurrentPosition(
        (position) => {
          const found = rounded(taken(position));
          const form = here.closest("form");
          for (const [name, value] of Object.entries(found)) {
            const field = form.querySelector(`input[name=${name}]`) ?? form.appendChild(document.createElement("input"));
            Object.assign(field, { type: "hidden", name, value });
          }
          shown.textContent = text("share.taken", { metres: Math.round(found.accuracy) });
        },
        () => { shown.textContent = text("share.denied"); },
        { enableHighAccuracy: true, timeout: 20_000 },
      );
    });
  }
})();
