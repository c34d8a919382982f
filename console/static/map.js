"use strict";
/* The town's own grids, sites and stations on a plain background; no tiles, nothing from elsewhere. */
const ShouwangMap = (() => {
  const { text, language } = Shouwang;
  const colours = ["#6c88a3", "#7db8f7", "#f2cf55", "#ff9a45", "#ff5f66"];
  const radii = [2.4, 6, 7, 8.5, 10];
  const PULSE_MS = 9000;
  const map = L.map("map", { preferCanvas: true, attributionControl: false, zoomSnap: 0.1, zoomDelta: 0.5, minZoom: 10, maxZoom: 19 });
  map.createPane("names").style.zIndex = 620;
  map.getPane("names").style.pointerEvents = "none";
  const quietLayer = L.canvas({ padding: 0.3 });
  const sites = new Map();
  const gridShapes = new Map();
  let open = {}, wanted = { severity: 0, hazard: "", grid: "" };

  const name = (zh, en) => (language === "zh" ? zh : en || zh);

  async function load() {
    const answer = await fetch("/api/v1/shapes");
    if (!answer.ok) throw new Error(`shapes: ${answer.status}`);
    const shapes = await answer.json();
    drawGrids(shapes.grids);
    for (const row of shapes.sites) drawSite(row);
    for (const row of shapes.stations) drawStation(row);
    showNames();
  }

  function drawGrids(grids) {
    const layer = L.geoJSON(grids, { renderer: quietLayer, style: gridStyle, onEachFeature: labelGrid });
    layer.addTo(map);
    if (grids.length) map.fitBounds(layer.getBounds(), { paddingTopLeft: [8, 8], paddingBottomRight: [8, 52] });
    else map.setView([31.445, 120.435], 13);
  }
  function gridStyle(feature) {
    const chosen = wanted.grid && wanted.grid === feature.properties.code;
    return { color: chosen ? "#ffd479" : "#2f475e", weight: chosen ? 2.5 : 1, fillColor: villageColour(feature), fillOpacity: 1 };
  }
  const villages = [];
  function villageColour(feature) {
    const village = feature.properties.village[0];
    if (!villages.includes(village)) villages.push(village);
    return ["#13212e", "#152633", "#112029", "#182838", "#14242a"][villages.indexOf(village) % 5];
  }
  function labelGrid(feature, layer) {
    const { code, zh, en } = feature.properties;
    gridShapes.set(code, layer);
    layer.bindTooltip(code, { permanent: true, direction: "center", className: "grid-name", pane: "names", interactive: false });
    layer.fullName = name(zh, en);
    layer.on("dblclick", (event) => { L.DomEvent.stop(event); choose(code); });
  }
  const choose = (code) => document.dispatchEvent(new CustomEvent("shouwang:grid", { detail: wanted.grid === code ? "" : code }));

  function showNames() {
    const pane = map.getPane("names");
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = "12px sans-serif";
    const show = () => {
      pane.style.visibility = map.getZoom() >= 12 ? "visible" : "hidden";
      const fits = (layer) => {
        const box = layer.getBounds();
        const width = map.latLngToLayerPoint(box.getNorthEast()).x - map.latLngToLayerPoint(box.getSouthWest()).x;
        return pen.measureText(layer.fullName).width < width;
      };
      const named = [...gridShapes.values()].every(fits);
      for (const [code, layer] of gridShapes) layer.setTooltipContent(named ? layer.fullName : code);
    };
    map.on("zoomend", show);
    show();
  }

  function drawSite([code, kind, zh, en, lng, lat, grid]) {
    const mark = L.circleMarker([lat, lng], { renderer: quietLayer, radius: radii[0], stroke: false, fillOpacity: 0.9, fillColor: colours[0] });
    mark.bindPopup(() => popup(code), { minWidth: 180 });
    mark.addTo(map);
    sites.set(code, { mark, level: 0, zh, en, grid, latlng: [lat, lng] });
  }
  function drawStation([, zh, en, lng, lat]) {
    const d = 0.0011;
    const diamond = [[lat + d, lng], [lat, lng + d * 1.17], [lat - d, lng], [lat, lng - d * 1.17]];
    L.polygon(diamond, { renderer: quietLayer, color: "#9fe3d6", weight: 1, fillColor: "#1d8f80", fillOpacity: 1 })
      .bindTooltip(name(zh, en), { permanent: true, direction: "bottom", offset: [0, 10], className: "station-name", pane: "names" })
      .addTo(map);
  }

  function popup(code) {
    const site = sites.get(code);
    const box = document.createElement("div");
    const title = document.createElement("b");
    title.textContent = name(site.zh, site.en);
    box.append(title);
    for (const [level, hazard, count] of open[code] ?? []) {
      const line = document.createElement("div");
      const chip = document.createElement("span");
      chip.className = `chip s${level}`;
      chip.textContent = text(`severity.${level}`);
      line.append(chip, ` ${text(`hazard.${hazard}`)} · ${text("map.alerts", { count })}`);
      box.append(line);
    }
    if (!open[code]) { const none = document.createElement("div"); none.textContent = text("map.none"); box.append(none); }
    const link = document.createElement("a");
    link.href = `/sites/${encodeURIComponent(code)}`;
    link.textContent = text("map.open");
    box.append(link);
    return box;
  }

  function levelOf(code, site) {
    if (wanted.grid && site.grid !== wanted.grid) return 0;
    let worst = 0;
    for (const [level, hazard] of open[code] ?? []) {
      if (level >= wanted.severity && (!wanted.hazard || wanted.hazard === hazard)) worst = Math.max(worst, level);
    }
    return worst;
  }
  function colourSites() {
    const counts = [0, 0, 0, 0, 0];
    const raised = [[], [], [], [], []];
    for (const [code, site] of sites) {
      const level = levelOf(code, site);
      counts[level] += 1;
      if (level !== site.level) {
        site.level = level;
        site.mark.setStyle({ radius: radii[level], fillColor: colours[level], stroke: level > 0, color: "#0a1119", weight: 1.5, fillOpacity: level ? 1 : 0.9 });
        site.mark.setRadius(radii[level]);
      }
      if (level) raised[level].push(site.mark);
    }
    for (const marks of raised) for (const mark of marks) mark.bringToFront();
    for (const each of document.querySelectorAll("[data-level]")) each.textContent = counts[each.dataset.level];
  }

  function show(state) { open = state; colourSites(); }
  function filter(next) {
    wanted = next;
    for (const layer of gridShapes.values()) layer.setStyle(gridStyle(layer.feature));
    const chosen = gridShapes.get(wanted.grid);
    if (chosen) map.fitBounds(chosen.getBounds(), { maxZoom: 14.5, padding: [60, 60] });
    colourSites();
  }
  function pulse(code, level) {
    const site = sites.get(code);
    if (!site) return;
    const ring = L.marker(site.latlng, { interactive: false, keyboard: false, icon: L.divIcon({ className: `pulse p${level}`, iconSize: [44, 44] }) });
    ring.addTo(map);
    setTimeout(() => ring.remove(), PULSE_MS);
  }
  new ResizeObserver(() => map.invalidateSize({ animate: false })).observe(document.getElementById("map"));
  const placeOf = (code) => sites.get(code)?.latlng;
  return { load, show, filter, pulse, placeOf, map };
})();
