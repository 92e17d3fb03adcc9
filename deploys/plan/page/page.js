"use strict";
(() => {
  const hosts = JSON.parse(document.getElementById("data").textContent);
  const body = document.querySelector("tbody");
  const rows = [...body.querySelectorAll("tr.host")];
  const search = document.getElementById("search");
  const shown = document.getElementById("shown");
  const further = document.getElementById("further");
  const nothing = document.getElementById("nothing");
  const sorter = document.getElementById("sort");
  const chips = [...document.querySelectorAll(".chip")];
  const heads = [...document.querySelectorAll("thead th")];
  const order = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const details = new Map();
  let state = "";
  let texts = null;
  // Rows that are drawn at once; more are when the end of the list comes into view.
  const STEP = 150;
  let limit = STEP;

  // Text only ever enters the page as text: no host can put markup into it.
  function el(tag, options, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(options || {})) node.setAttribute(name, value);
    node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
    return node;
  }
  function icon(name) {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    const use = document.createElementNS(space, "use");
    use.setAttribute("href", `#i-${name}`);
    svg.append(use);
    return svg;
  }
  function took(seconds) {
    if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
    if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
    const minutes = Math.floor(seconds / 60);
    if (minutes >= 10 && minutes < 60) return `${Math.round(seconds / 60)} min`;
    return minutes < 60 ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  }
  function ago(time) {
    const seconds = Math.max((Date.now() - Date.parse(time)) / 1000, 0);
    const units = [[86400 * 2, 86400, "day"], [3600 * 2, 3600, "hour"], [120, 60, "minute"]];
    for (const [from, unit, word] of units) {
      const count = Math.floor(seconds / unit);
      if (seconds >= from) return `${count} ${word}s ago`;
    }
    return seconds < 60 ? "just now" : "a minute ago";
  }

  const words = { FAIL: ["failed", "cross"], UNKNOWN: ["pending", "query"], SKIP: ["", "dash"], PASS: ["good", "check"] };
  function part(title, content, wide) {
    return el("section", wide ? { class: "wide" } : {}, el("h2", {}, title), content);
  }
  function pairs(list) {
    const box = el("dl");
    for (const [term, text, kind] of list) if (text) box.append(el("dt", {}, term), el("dd", kind ? { class: kind } : {}, text));
    return box;
  }
  function finding(f) {
    const stops = f.level === "stop" && !f.accepted;
    const word = f.accepted ? "Accepted" : stops ? "Stop" : "Warning";
    const head = el("h3", {}, icon(stops ? "refused" : f.accepted ? "check" : "pending"), word, el("code", {}, f.check));
    return el("div", { class: `finding ${stops ? "refused" : f.accepted ? "good" : "pending"}` }, head, pairs([["found", f.found], ["needed", f.needed], ["fix", f.fix, "fix"]]));
  }
  function drift(d) {
    const head = el("h3", {}, icon("pending"), "Drifted", el("code", {}, d.name));
    return el("div", { class: "finding pending" }, head, pairs([["found", d.found], ["needed", d.needed], ["fix", d.fix, "fix"]]));
  }
  function symptom(s) {
    const head = el("h3", {}, icon("failed"), "Symptom", el("code", {}, s.name));
    return el("div", { class: "finding failed" }, head, pairs([["said", s.line], ["cause", s.cause], ["repair", s.repair, "fix"]]));
  }
  function link(step) {
    const [kind, picture] = words[step.result];
    return el("li", { class: kind }, icon(picture), el("div", {}, el("b", {}, step.name), " ", el("span", { class: "none" }, `${step.result.toLowerCase()}: ${step.detail}`)));
  }
  function times(list) {
    const longest = Math.max(...list.map((t) => t.seconds), 0.001);
    const box = el("ul", { class: "plain times" });
    for (const t of list) {
      const fill = el("span");
      fill.style.width = `${(100 * t.seconds) / longest}%`;
      const [part, name] = t.step.includes(" | ") ? t.step.split(" | ", 2) : ["", t.step];
      const note = t.result === "failed" ? "failed" : t.changed ? "changed" : "";
      const text = el("div", {}, part ? el("span", { class: "none" }, part) : null, part ? " " : "", name);
      box.append(el("li", { class: t.result === "failed" ? "bad" : t.changed ? "did" : "" }, text, el("span", { class: "note" }, note), el("div", { class: "track", "aria-hidden": "true" }, fill), el("span", { class: "took" }, took(t.seconds))));
    }
    return box;
  }
  function detail(host) {
    const parts = el("div", { class: "parts" });
    const facts = [["why", host.detail], ["driver", host.driver_state ? `${host.driver_state.name}: ${host.driver_state.why}` : ""], ["next run", host.driver_state ? host.driver_state.repair : ""], ["kernel", host.kernel], ["Compose", host.compose], ["reboot", host.reboot ? host.reboot.why.join("; ") : ""], ["seen", `${host.seen.replace("T", " ").replace("Z", " UTC")}`]];
    const left = el("div");
    if (host.findings.length) left.append(part("Findings", el("div", {}, ...host.findings.map(finding))));
    if (host.drift.length) left.append(part("Drifted since the last proof", el("div", {}, ...host.drift.map(drift))));
    if (host.symptoms.length) left.append(part("Symptoms", el("div", {}, ...host.symptoms.map(symptom))));
    const about = part("Host", pairs(facts));
    if (host.steps.length) {
      const rank = ["FAIL", "UNKNOWN", "PASS", "SKIP"];
      const links = [...host.steps].sort((a, b) => rank.indexOf(a.result) - rank.indexOf(b.result));
      left.append(about);
      parts.append(left, part("Chain of proof", el("ul", { class: "plain" }, ...links.map(link))));
    } else parts.append(...(left.childNodes.length ? [left, about] : [about]));
    if (host.timings.length) parts.append(part("Steps of this run", times(host.timings), true));
    const untimed = host.changed.filter((step) => !host.timings.some((t) => t.step === step));
    if (untimed.length) parts.append(part("Changed", el("ul", { class: "plain" }, ...untimed.map((text) => el("li", {}, icon("dot"), el("div", {}, text))))));
    if (host.plan) parts.append(el("section", { class: "wide" }, el("details", {}, el("summary", {}, "The plan of this host"), el("pre", {}, host.plan))));
    return parts;
  }

  function open(row, wanted) {
    const button = row.querySelector(".name");
    const index = Number(row.dataset.i);
    let more = details.get(row);
    if (wanted && !more) {
      const cell = el("td", { colspan: String(heads.length), role: "cell" }, detail(hosts[index]));
      more = el("tr", { class: "more", role: "row", id: `more-${index}` }, cell);
      details.set(row, more);
      button.setAttribute("aria-controls", more.id);
    }
    if (wanted) row.after(more);
    else if (more) more.remove();
    button.setAttribute("aria-expanded", String(wanted));
    row.classList.toggle("open", wanted);
  }
  const isOpen = (row) => row.classList.contains("open");

  function words_of(host) {
    const gpus = host.gpus.map((g) => `${g.count} ${g.count}x ${g.name} ${g.id}`);
    const found = host.findings.map((f) => `${f.check} ${f.found} ${f.fix}`);
    return [host.host, host.state, host.detail, host.system, host.kernel, host.driver, ...host.cuda, host.docker, host.runtime, ...gpus, ...found, ...host.changed, ...(host.reboot && host.reboot.pending ? ["reboot", ...host.reboot.why] : [])].join("\n").toLowerCase();
  }
  function draw() {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (wanted.length && !texts) texts = hosts.map(words_of);
    let count = 0;
    for (const row of rows) {
      const index = Number(row.dataset.i);
      const fits = (!state || hosts[index].state === state) && wanted.every((word) => texts[index].includes(word));
      count += fits;
      const hide = !fits || count > limit;
      if (row.hidden !== hide) row.hidden = hide;
      if (isOpen(row)) details.get(row).hidden = hide;
    }
    nothing.hidden = count > 0;
    further.hidden = count <= limit;
    further.textContent = `Show ${Math.min(STEP, count - limit)} of ${count - limit} more`;
    shown.textContent = count === rows.length ? `${count} host${count === 1 ? "" : "s"}` : `${count} of ${rows.length} hosts`;
  }
  function filter() {
    limit = STEP;
    draw();
  }
  function extend() {
    limit += STEP;
    draw();
  }

  const worst = JSON.parse(body.dataset.order);
  const keys = {
    host: (h) => h.host,
    state: (h) => worst.indexOf(h.state),
    gpus: (h) => h.gpus.reduce((sum, g) => sum - g.count, 0),
    driver: (h) => h.driver || "\uffff",
    cuda: (h) => h.cuda[h.cuda.length - 1] || "\uffff",
    docker: (h) => h.docker || "\uffff",
    runtime: (h) => h.runtime || "\uffff",
    reboot: (h) => (h.reboot && h.reboot.pending ? 0 : 1),
    proof: (h) => (h.last_proof ? h.last_proof.at : ""),
    took: (h) => -h.timings.reduce((sum, t) => sum + t.seconds, 0),
  };
  function sort(column, direction) {
    const key = keys[column];
    const sign = direction === "ascending" ? 1 : -1;
    const values = hosts.map(key);
    const compare = (a, b) => (typeof a === "number" ? a - b : order.compare(a, b));
    rows.sort((one, two) => {
      const [a, b] = [Number(one.dataset.i), Number(two.dataset.i)];
      return sign * compare(values[a], values[b]) || order.compare(hosts[a].host, hosts[b].host);
    });
    const all = document.createDocumentFragment();
    for (const row of rows) {
      all.append(row);
      if (isOpen(row)) all.append(details.get(row));
    }
    body.append(all);
    for (const head of heads) {
      if (head.dataset.key === column) head.setAttribute("aria-sort", direction);
      else head.removeAttribute("aria-sort");
    }
    sorter.value = column;
    filter();
  }

  for (const time of document.querySelectorAll("time.ago")) time.textContent = ago(time.dateTime);
  for (const span of document.querySelectorAll(".bar span")) span.style.setProperty("--n", span.dataset.n);
  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr.host");
    // Who marks text in a row does not want it to fold.
    if (row && (event.target.closest(".name") || String(getSelection()) === "")) open(row, !isOpen(row));
  });
  document.querySelector("thead").addEventListener("click", (event) => {
    const head = event.target.closest("th");
    if (head && event.target.closest("button")) sort(head.dataset.key, head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending");
  });
  sorter.addEventListener("change", () => sort(sorter.value, "ascending"));
  search.addEventListener("input", filter);
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      state = chip.dataset.state === state ? "" : chip.dataset.state;
      for (const other of chips) other.setAttribute("aria-pressed", String(other.dataset.state === state));
      filter();
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== search && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && document.activeElement === search) {
      search.value = "";
      filter();
    }
  });
  further.addEventListener("click", extend);
  if ("IntersectionObserver" in window) {
    const watch = new IntersectionObserver((seen) => {
      if (!seen.some((one) => one.isIntersecting)) return;
      extend();
      // Asked anew, it says whether the end of the list is still in view.
      watch.unobserve(further);
      watch.observe(further);
    }, { rootMargin: "800px" });
    watch.observe(further);
  }
  draw();
  body.classList.add("ready");
  // One host is looked at by itself: nothing to choose, so its details are open.
  if (rows.length === 1) open(rows[0], true);
})();
