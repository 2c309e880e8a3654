"use strict";
// Sorting: each heading of a table.sortable becomes a button; undefined cells stay last.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const key = (row) => row.cells[column].dataset.v;
      const number = head.dataset.kind !== "text";
      const rows = [...body.rows].sort((a, b) => {
        const x = key(a), y = key(b);
        if (x === "" || y === "") return (x === "") - (y === "");
        const order = number ? x - y : x.localeCompare(y);
        return up ? order : -order;
      });
      body.append(...rows);
    });
  });
}
// Read-out: the values of the curve under the pointer.
const readout = document.getElementById("readout");
const resting = readout ? readout.textContent : "";
for (const svg of document.querySelectorAll("svg.area-chart")) {
  const points = JSON.parse(svg.dataset.points);
  const cursor = svg.querySelector(".cursor");
  if (!points.length) continue;
  const show = (event) => {
    const box = svg.getBoundingClientRect();
    const x = (event.clientX - box.left) * svg.viewBox.baseVal.width / box.width;
    let p = points[0];
    for (const q of points) if (Math.abs(q[0] - x) < Math.abs(p[0] - x)) p = q;
    cursor.setAttribute("transform", `translate(${p[0]} 0)`);
    cursor.querySelector("circle").setAttribute("cy", p[1]);
    cursor.removeAttribute("visibility");
    const span = p[4] === null ? "" : ` (${p[4].toFixed(2)} to ${p[5].toFixed(2)})`;
    readout.textContent = `Around ${p[2].toLocaleString("en")} px: IA-IoU ${p[3].toFixed(2)}${span}, about ${p[6]} instances`;
  };
  svg.addEventListener("pointermove", show);
  svg.addEventListener("pointerdown", show);
  svg.addEventListener("pointerleave", () => {
    cursor.setAttribute("visibility", "hidden");
    readout.textContent = resting;
  });
}
