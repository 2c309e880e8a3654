"use strict";
// Everything here is a convenience: the pages say the same without it.

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
      const now = head.getAttribute("aria-sort");
      const first = head.dataset.first === "down" ? "descending" : "ascending";
      const turned = now === "ascending" ? "descending" : "ascending";
      const order = now ? turned : first;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", order);
      const key = (row) => row.cells[column].dataset.v;
      const number = head.dataset.kind !== "text";
      const rows = [...body.rows].sort((a, b) => {
        const x = key(a), y = key(b);
        if (x === "" || y === "") return (x === "") - (y === "");
        const difference = number ? x - y : x.localeCompare(y, "en", { numeric: true });
        return order === "ascending" ? difference : -difference;
      });
      body.append(...rows);
    });
  });
}

// Filters: a choice applies at once; a page without a server filters its own rows by the same address.
const filters = document.querySelector("form.filters");
const still = "static" in document.body.dataset;
if (filters && filters.method === "get" && document.querySelector("table.board, .empty")) {
  const choices = [...filters.querySelectorAll("select")];
  const papers = document.getElementById("papers");
  const apply = () => {
    let left = 0;
    if (papers && choices.some((c) => c.name === "kind" && c.value === "paper")) papers.checked = true;
    for (const row of document.querySelectorAll("table.board tbody tr")) {
      row.hidden = choices.some((c) => c.value && row.getAttribute("data-" + c.name.replaceAll("_", "-")) !== c.value);
      left += !row.hidden;
    }
    document.querySelector("p.empty").hidden = left > 0;
    const address = new URLSearchParams(choices.filter((c) => c.value).map((c) => [c.name, c.value]));
    history.replaceState(null, "", String(address) ? "?" + address : location.pathname);
  };
  if (still) {
    const asked = new URLSearchParams(location.search);
    for (const c of choices) c.value = asked.get(c.name) ?? "";
    for (const c of choices) if (c.selectedIndex < 0) c.selectedIndex = 0;
    filters.addEventListener("submit", (event) => { event.preventDefault(); apply(); });
    if (choices.some((c) => c.value)) apply();
  }
  for (const c of choices) {
    c.addEventListener("change", () => {
      if (still) return apply();
      for (const empty of choices) empty.disabled = !empty.value;
      filters.submit();
    });
  }
  filters.querySelector("button").hidden = true;
}

// A command line can be copied.
for (const place of document.querySelectorAll(".copy")) {
  if (!navigator.clipboard) continue;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(place.querySelector("code").textContent);
    button.textContent = "Copied";
  });
  place.append(button);
}

// A submission under way: ask for its state, and load the page again when it has changed.
const watched = document.querySelector("[data-watch]");
if (watched && !still) {
  const look = async () => {
    try {
      const answer = await fetch(watched.dataset.watch, { headers: { accept: "application/json" } });
      const seen = await answer.json();
      if (answer.ok && (seen.state !== watched.dataset.state || String(seen.position ?? "") !== watched.dataset.position)) {
        location.reload();
        return;
      }
    } catch { /* the server may be restarting; ask again */ }
    setTimeout(look, 2000);
  };
  setTimeout(look, 2000);
}

// Upload in pieces, with progress; a piece that fails is sent again from where the server stands.
const form = document.querySelector("form.submit");
if (form) form.addEventListener("submit", (event) => { event.preventDefault(); send(form); });

async function send(form) {
  const file = form.elements.archive.files[0];
  const say = form.querySelector("output"), bar = form.querySelector("progress"), button = form.querySelector("button.go");
  if (file.size > Number(form.dataset.limit)) { say.textContent = "The archive is larger than this board takes."; return; }
  button.disabled = true;
  bar.hidden = false;
  const auth = { "x-form-token": form.elements.form_token.value };
  const problem = async (answer) => new Error((await answer.json().catch(() => ({}))).message ?? `The server answered ${answer.status}.`);
  try {
    const fields = new FormData(form);
    fields.delete("archive");
    fields.set("size", String(file.size));
    const made = await fetch("/submit/announce", { method: "POST", body: fields });
    if (!made.ok) throw await problem(made);
    const { id, upload } = await made.json();
    let offset = 0, failures = 0;
    while (offset < file.size) {
      let answer;
      try {
        answer = await fetch(upload, {
          method: "PATCH", body: file.slice(offset, offset + 4 * 1024 * 1024),
          headers: { ...auth, "content-type": "application/octet-stream", "upload-offset": String(offset) },
        });
      } catch { answer = null; }
      if (answer?.ok || answer?.status === 409) {
        const stands = Number(answer.headers.get("upload-offset") ?? NaN);
        if (!(stands >= 0)) throw await problem(answer);
        failures = stands > offset ? 0 : failures + 1;
        offset = stands;
      } else if (answer && answer.status < 500) throw await problem(answer);
      else failures += 1;
      if (failures > 6) throw new Error("The upload broke off; send it again.");
      if (failures) {
        await new Promise((done) => setTimeout(done, 500 * 2 ** failures));
        const head = await fetch(upload, { method: "HEAD", headers: auth }).catch(() => null);
        if (head?.ok) offset = Number(head.headers.get("upload-offset"));
      }
      bar.value = offset / file.size;
      say.textContent = `${Math.floor(100 * offset / file.size)} % of ${(file.size / 2 ** 20).toFixed(1)} MiB sent`;
    }
    const complete = () => fetch(`/api/v1/submissions/${id}/complete`, { method: "POST", headers: auth });
    const done = await complete().catch(complete); // asked twice it is done once
    if (!done.ok) throw await problem(done);
    location.assign(`/submissions/${id}`);
  } catch (error) {
    say.textContent = error.message;
    button.disabled = false;
    bar.hidden = true;
  }
}
