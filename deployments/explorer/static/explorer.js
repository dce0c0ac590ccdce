// The slice viewer: sliders choose the plane, a click draws the line through that pixel. Pages work without it.
"use strict";

for (const viewer of document.querySelectorAll(".viewer")) {
  const image = viewer.querySelector("img");
  const form = viewer.querySelector("form");
  if (!image || !form) continue;
  const { product, variable } = viewer.dataset;
  const dims = viewer.dataset.dims.split(",");
  const shape = viewer.dataset.shape.split(",").map(Number);
  const [down, across] = viewer.dataset.picture.split(",");
  const chosen = () => Object.fromEntries([...form.querySelectorAll("input[type=range]")].map((s) => [s.name, s.value]));
  let waiting = null;

  form.addEventListener("input", (event) => {
    if (event.target.type !== "range") return;
    event.target.nextElementSibling.value = event.target.value;
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      image.src = `/products/${product}/plane.png?${new URLSearchParams({ variable, ...chosen() })}`;
    }, 80);
  });
  form.addEventListener("submit", (event) => event.preventDefault());

  image.addEventListener("click", (event) => {
    const box = image.getBoundingClientRect();
    look((event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width);
  });
  look(0.5, 0.5);

  async function look(fromTop, fromLeft) {
    const along = form.querySelector("select[name=along]")?.value;
    if (!along) return;
    const pixel = (fraction, dim) => Math.min(shape[dims.indexOf(dim)] - 1, Math.floor(fraction * shape[dims.indexOf(dim)]));
    const at = { ...chosen(), [down]: pixel(fromTop, down), [across]: pixel(fromLeft, across) };
    delete at[along];
    const answer = await fetch(`/api/products/${product}/profile?${new URLSearchParams({ variable, along, ...at })}`);
    if (answer.ok) draw(await answer.json(), at);
  }

  function draw(line, at) {
    const values = line.values.map((v) => (v === null ? NaN : v));
    const good = values.filter(Number.isFinite);
    if (!good.length) return;
    const low = Math.min(...good), high = Math.max(...good), span = high - low || 1;
    const points = values
      .map((v, i) => (Number.isFinite(v) ? `${((i / Math.max(1, values.length - 1)) * 600).toFixed(1)},${(195 - ((v - low) / span) * 190).toFixed(1)}` : ""))
      .filter(Boolean);
    const svg = form.querySelector("svg.profile");
    const curve = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    curve.setAttribute("points", points.join(" "));
    svg.replaceChildren(curve);
    const where = Object.entries(at).map(([name, value]) => `${name} ${value}`).join(", ");
    const ends = [line.coordinate[0], line.coordinate.at(-1)];
    form.querySelector(".profile-range").textContent =
      `${where}: from ${low.toPrecision(4)} to ${high.toPrecision(4)} ${line.units === "1" ? "" : line.units}, over ${line.along} ${ends[0]} to ${ends[1]}`;
  }
}

// Labels: who decides is remembered by this browser.
const who = document.querySelector("input.who");
if (who) {
  who.value = localStorage.getItem("who") ?? "";
  who.addEventListener("change", () => localStorage.setItem("who", who.value));
}
for (const cell of document.querySelectorAll("td.label")) {
  cell.addEventListener("click", async (event) => {
    if (event.target.tagName !== "BUTTON") return;
    if (!who.value.trim()) return who.focus();
    const body = JSON.stringify({ verdict: event.target.value, who: who.value.trim() });
    const answer = await fetch(cell.dataset.address, { method: "PUT", headers: { "Content-Type": "application/json" }, body });
    const told = await answer.json();
    const shown = document.createElement("span");
    shown.className = answer.ok ? told.verdict : "reject";
    shown.textContent = answer.ok ? `${told.verdict} ${told.who}` : told.error;
    cell.querySelector(".decided").replaceChildren(shown);
  });
}
