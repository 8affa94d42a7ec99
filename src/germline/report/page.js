"use strict";
// Curves: one call a figure; colours of text and axes follow the page, light or dark.
const plots = [...document.querySelectorAll(".plot")];
const hidden = new Set();

function themed(layout) {
  const style = getComputedStyle(document.documentElement);
  const [ink, soft, line, raised] = ["--ink", "--soft", "--line", "--raised"].map((name) => style.getPropertyValue(name).trim());
  const axis = { gridcolor: line, linecolor: line, tickcolor: line, tickfont: { color: soft }, showline: true };
  return {
    ...layout,
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: soft },
    hoverlabel: { bgcolor: raised, bordercolor: line, font: { color: ink } },
    xaxis: { ...layout.xaxis, ...axis, showgrid: false }, yaxis: { ...layout.yaxis, ...axis, showline: false },
  };
}

function draw(plot) {
  const figure = JSON.parse(document.querySelector(`script[data-for="${plot.id}"]`).textContent);
  const chapter = plot.id.split("-")[0];
  for (const trace of figure.data) trace.visible = !hidden.has(`${chapter} ${trace.legendgroup}`);
  Plotly.react(plot, figure.data, themed(figure.layout), { displayModeBar: false, responsive: true });
}

// The library lies in the page as gzip in base64: a third of its bytes. Nothing is fetched.
async function unpack() {
  const bytes = Uint8Array.from(atob(document.querySelector("#plotly").textContent), (letter) => letter.charCodeAt(0));
  const library = document.createElement("script");
  library.textContent = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  document.head.append(library);
}

// One figure at a time, so that a page with many answers from the start.
const queue = [...plots];
function next() {
  const plot = queue.shift();
  if (!plot) return;
  draw(plot);
  setTimeout(next);
}
if (window.DecompressionStream) unpack().then(next);
else document.querySelector("#too-old").hidden = false;
const redraw = () => { if (window.Plotly) plots.forEach(draw); };
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

for (const toggle of document.querySelectorAll(".toggle")) {
  toggle.addEventListener("click", () => {
    const shown = toggle.getAttribute("aria-pressed") === "true", key = `${toggle.dataset.chapter} ${toggle.dataset.group}`;
    toggle.setAttribute("aria-pressed", String(!shown));
    shown ? hidden.add(key) : hidden.delete(key);
    spotlight(toggle, false);
    redraw();
  });
}

// Pointing at an arm, or coming to it by keyboard, fades the others. Bars are left alone: they are of one arm each.
function spotlight(toggle, on) {
  for (const plot of plots) {
    if (plot.id.split("-")[0] !== toggle.dataset.chapter) continue;
    for (const trace of plot.querySelectorAll(".scatterlayer .trace")) {
      const own = trace.__data__?.[0]?.trace, other = own?.legendgroup && own.legendgroup !== toggle.dataset.group;
      trace.style.opacity = on && other ? 0.1 : own?.opacity ?? "";
    }
  }
}
for (const toggle of document.querySelectorAll(".toggle")) {
  for (const event of ["pointerenter", "focus"]) toggle.addEventListener(event, () => spotlight(toggle, toggle.getAttribute("aria-pressed") === "true"));
  for (const event of ["pointerleave", "blur"]) toggle.addEventListener(event, () => spotlight(toggle, false));
}

// Cells: enlarged by a whole number of screen pixels a pixel; arrows walk through generations and arms.
const dialog = document.querySelector("dialog"), big = dialog.querySelector(".big"), bigReal = dialog.querySelector(".big-real");
let at = null;

const matrix = (cell) => [...cell.closest("table").querySelectorAll("tbody")].map((body) => [...body.querySelectorAll("td:not(.rest)")].slice(1).map((td) => td.querySelector(".cell")));

function neighbour(dx, dy) {
  const rows = matrix(at), y = rows.findIndex((row) => row.includes(at)), x = rows[y].indexOf(at);
  return rows[y + dy]?.[x + dx] ?? null;
}

function enlarge(cell) {
  at = cell;
  const image = cell.querySelector("img"), width = image.naturalWidth, height = image.naturalHeight, wide = innerWidth > 720;
  const room = Math.min((innerWidth - 60) / (wide ? 2.1 : 1) / width, (innerHeight - (wide ? 120 : 200)) / (wide ? 1 : 2.1) / height);
  const ratio = devicePixelRatio || 1, scale = Math.max(1, Math.min(8, Math.floor(room * ratio))) / ratio;
  big.src = image.src;
  big.alt = image.alt;
  for (const one of [big, bigReal]) { one.style.width = `${width * scale}px`; one.style.height = `${height * scale}px`; }
  bigReal.style.backgroundImage = getComputedStyle(cell.closest("table").querySelector(".real-images")).backgroundImage;
  dialog.querySelector(".where").textContent = `${cell.dataset.arm}, generation ${cell.dataset.generation}`;
  for (const step of dialog.querySelectorAll(".step")) step.disabled = !neighbour(+step.dataset.x, +step.dataset.y);
  if (!dialog.open) dialog.showModal();
}

const walk = (dx, dy) => { const next = neighbour(dx, dy); if (next) enlarge(next); };
for (const cell of document.querySelectorAll(".cell")) cell.addEventListener("click", () => enlarge(cell));
for (const step of dialog.querySelectorAll(".step")) step.addEventListener("click", () => walk(+step.dataset.x, +step.dataset.y));
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
dialog.addEventListener("close", () => at?.focus());
dialog.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (steps[event.key]) { event.preventDefault(); walk(...steps[event.key]); }
});
