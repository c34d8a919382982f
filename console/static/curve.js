"use strict";
/* Curves with their limits, recovery, the band of what is usual and the alert's span. */
(() => {
  const { text, language } = Shouwang;
  const colours = { 1: "#7db8f7", 2: "#f2cf55", 3: "#ff9a45", 4: "#ff5f66" };
  const HEIGHT = 250;

  function note(box, key) {
    const line = document.createElement("p");
    line.className = "curve-note";
    line.textContent = text(key);
    box.replaceChildren(line);
  }

  function lines(about) {
    const found = Object.entries(about.limits).map(([level, at]) => (
      { at, colour: colours[level], word: `${text(`severity.${level}`)} ${at}`, dash: [] }));
    if (about.recovery !== null && found.length) found.push({ at: about.recovery, colour: "#58d0a2", word: `${text("curve.recovery")} ${about.recovery}`, dash: [6, 4] });
    return found;
  }

  function shadeBand(plot, [low, high]) {
    const { ctx, bbox } = plot;
    const within = (y) => Math.min(Math.max(y, bbox.top), bbox.top + bbox.height);
    const top = within(plot.valToPos(high, "y", true)), bottom = within(plot.valToPos(low, "y", true));
    ctx.save();
    ctx.fillStyle = "rgb(88 208 162 / 0.16)";
    ctx.fillRect(bbox.left, top, bbox.width, Math.max(2, bottom - top));
    ctx.restore();
  }

  function shade(about) {
    return (plot) => {
      if (hasBand(about)) shadeBand(plot, about.band);
      if (about.from === null) return;
      const { ctx, bbox } = plot;
      const left = Math.max(bbox.left, plot.valToPos(about.from / 1e6, "x", true));
      const right = Math.min(bbox.left + bbox.width, about.to === null ? Infinity : plot.valToPos(about.to / 1e6, "x", true));
      ctx.save();
      ctx.fillStyle = "rgb(255 95 102 / 0.13)";
      ctx.fillRect(left, bbox.top, Math.max(2, right - left), bbox.height);
      ctx.restore();
    };
  }
  function drawLines(marks) {
    return (plot) => {
      const { ctx, bbox } = plot;
      const ratio = devicePixelRatio;
      ctx.save();
      ctx.font = `${12 * ratio}px system-ui, sans-serif`;
      ctx.lineWidth = 1.5 * ratio;
      ctx.textBaseline = "bottom";
      for (const mark of marks) {
        const y = Math.round(plot.valToPos(mark.at, "y", true));
        if (y < bbox.top || y > bbox.top + bbox.height) continue;
        ctx.strokeStyle = ctx.fillStyle = mark.colour;
        ctx.setLineDash(mark.dash.map((n) => n * ratio));
        ctx.beginPath();
        ctx.moveTo(bbox.left, y);
        ctx.lineTo(bbox.left + bbox.width, y);
        ctx.stroke();
        ctx.textAlign = mark.dash.length ? "right" : "left";
        ctx.fillText(mark.word, mark.dash.length ? bbox.left + bbox.width - 6 * ratio : bbox.left + 6 * ratio, y - 2 * ratio);
      }
      ctx.restore();
    };
  }

  const hasBand = (about) => Boolean(about.band) && about.band.every(Number.isFinite);

  function bounds(marks) {
    return (plot, low, high) => {
      const values = [low, high, ...marks.map((mark) => mark.at).filter((at) => at <= Math.max(high, 1e-9) * 3)].filter(Number.isFinite);
      const from = Math.min(...values), to = Math.max(...values), room = (to - from || Math.abs(to) || 1) * 0.1;
      return [from >= 0 ? Math.max(0, from - room) : from - room, to + room];
    };
  }

  async function draw(box) {
    const about = JSON.parse(box.dataset.curve);
    const answer = await fetch(`/api/v1/series/${about.series}?since=${about.since}&until=${about.until}&points=900`);
    if (!answer.ok) { note(box, "curve.failed"); return; }
    const curve = await answer.json();
    if (!curve.at.length) { note(box, "curve.none"); return; }
    const marks = lines(about);
    const seen = hasBand(about) ? [...marks, ...about.band.map((at) => ({ at }))] : marks;
    const axis = { stroke: "#a3b6c8", grid: { stroke: "#1d2d3d", width: 1 }, ticks: { stroke: "#24364a" } };
    const title = `${curve.device} · ${language === "zh" ? curve.zh : curve.en}${curve.unit ? ` (${curve.unit})` : ""}`;
    const plot = new uPlot({
      width: box.clientWidth, height: HEIGHT,
      tzDate: (at) => uPlot.tzDate(new Date(at * 1e3), "Asia/Shanghai"),
      scales: { x: { min: about.since / 1e6, max: about.until / 1e6 }, y: { range: bounds(seen) } },
      axes: [{ ...axis, values: times }, { ...axis, size: 56 }],
      series: [
        { label: text("curve.time"), value: (_, at) => (at === null ? "—" : times(null, [at], null, null, 1)[0]) },
        { label: title, stroke: "#7fc4ff", width: 1.6, points: { show: curve.at.length < 80, size: 4 }, value: (_, v) => (v === null ? "—" : +v.toFixed(3)) },
      ],
      hooks: { drawClear: [shade(about)], draw: [drawLines(marks)] },
      legend: { live: true },
    }, [curve.at.map((at) => at / 1e6), curve.mean], box);
    new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: HEIGHT })).observe(box);
  }

  function times(_plot, splits, _axis, _space, step) {
    return splits.map((at) => { const shown = Shouwang.wall(at * 1e3); return step >= 60 ? shown.slice(6, 11) : shown.slice(6); });
  }

  const drawAll = (root) => { for (const box of root.querySelectorAll("[data-curve]")) draw(box).catch(() => note(box, "curve.failed")); };
  drawAll(document);
  document.addEventListener("htmx:afterSwap", (event) => drawAll(event.detail.elt));
})();
