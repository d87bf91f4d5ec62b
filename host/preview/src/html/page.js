// Draws the treemap, and the table of the directory in view. Everything that
// comes from the report is set as text, never as markup.
(() => {
  const FATES = ["keep", "carry", "part", "delete"];
  const WORDS = ["kept", "carried", "kept in part", "deleted"];
  const [KEEP, CARRY, PART, DELETE] = [0, 1, 2, 3];
  const HEADER = 19; // pixels of a directory's heading
  const TILES = 4000; // no directory is opened beyond so many
  const LISTED = 200; // the most rows of a table
  const FOUND = 40; // the most results
  const IN_USE = "a loop device uses it: its name goes, its memory is not freed";
  const HUES = [55, 20, 110, 345, 80, 145, 320]; // of what is deleted, far from the survivors' blue

  const $ = (id) => document.getElementById(id);
  const source = JSON.parse($("tiles").textContent);
  const nodes = source.rows.map((row, index) => ({
    index, parent: row[0], name: row[1], kind: source.kinds[row[2]], bytes: row[3], files: row[4],
    fate: row[5], by: source.by[row[6]], folded: row[7], to: row[8], inUse: row[9], children: [], live: 0, path: "/",
  }));
  // A tile's directory has a smaller index than the tile.
  for (const node of nodes.slice(1)) {
    const parent = nodes[node.parent];
    parent.children.push(node);
    node.path = (parent.index ? parent.path : "") + "/" + label(node);
  }
  for (const node of nodes.slice().reverse()) {
    if (node.fate === KEEP || node.fate === CARRY) node.live = node.bytes;
    if (node.index) nodes[node.parent].live += node.live;
  }
  const root = nodes[0];
  const byPath = new Map(nodes.filter((node) => !node.folded).map((node) => [node.path, node]));
  const map = $("map");
  const tip = document.body.appendChild(make("div", "tip"));
  tip.hidden = true;
  let here = root;
  let onlyLive = false;
  let origin = null; // where the tile was that is opened
  let matches = null; // the indices of what the search found, and of what leads there

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }
  function label(node) {
    if (node.folded) return `${node.folded.toLocaleString("en")} more`;
    return node.index ? node.name : "/";
  }
  function size(bytes) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let unit = 0;
    for (; bytes >= (unit ? 1023.95 : 1024) && unit < 6; unit++) bytes /= 1024;
    return `${unit ? bytes.toFixed(1) : bytes} ${units[unit]}`;
  }
  // What a node takes of the map: its bytes, or those of it that survive.
  function weight(node) {
    return onlyLive ? node.live : node.bytes;
  }
  function isShown(node) {
    return !onlyLive || node.fate !== DELETE;
  }
  function share(node) {
    const all = root.bytes || 1;
    const percent = (node.bytes / all) * 100;
    return percent && percent < 0.1 ? "less than 0.1 %" : `${percent.toFixed(1)} %`;
  }

  function draw() {
    const width = map.clientWidth, height = map.clientHeight;
    if (!width || !height) return;
    const focused = map.contains(document.activeElement) ? document.activeElement.node : null;
    map.replaceChildren();
    const work = [{ node: here, rect: [0, 0, width, height], level: 0, hue: HUES[0] }];
    let hues = 0;
    for (let at = 0; at < work.length; at++) {
      const { node, rect, level, hue } = work[at];
      const [x, y, w, h] = rect;
      const opens = node.children.some(isShown) && (level === 0 || (w > 24 && h > HEADER + 10 && work.length < TILES));
      if (level > 0) map.append(tile(node, rect, [width, height], level, opens, hue));
      if (!opens) continue;
      const edge = level ? 3 : 0, head = level ? HEADER : 0;
      const inner = [x + edge, y + head, w - 2 * edge, h - head - edge];
      const items = layout.portions(node, inner[2], inner[3], isShown, weight);
      layout.squarify(items, ...inner);
      // What is deleted together has one hue.
      const mixed = level === 0 || node.fate === PART;
      for (const item of items) {
        if (!item.rect) continue;
        const own = mixed && item.node.children.length ? HUES[hues++ % HUES.length] : hue;
        work.push({ node: item.node, rect: item.rect, level: level + 1, hue: own });
      }
    }
    if (!map.children.length) map.append(make("p", "empty", onlyLive ? "Nothing here survives." : "Nothing is in here."));
    const tiles = [...map.querySelectorAll(".tile")];
    const first = tiles.find((element) => element.node === focused) || tiles[0];
    if (first) first.tabIndex = 0;
    if (focused && first) first.focus({ preventScroll: true });
    mark();
  }

  function tile(node, [x, y, w, h], [width, height], level, opens, hue) {
    const element = make("div", `tile ${FATES[node.fate]}`);
    element.node = node;
    element.center = [x + w / 2, y + h / 2];
    element.tabIndex = -1;
    element.setAttribute("role", "treeitem");
    element.setAttribute("aria-level", level);
    if (node.children.length) element.setAttribute("aria-expanded", opens);
    element.setAttribute("aria-label", `${label(node)}, ${size(weight(node))}, ${WORDS[node.fate]}${node.inUse ? `, ${IN_USE}` : ""}`);
    if (opens) element.classList.add("open");
    if (node.folded) element.classList.add("more");
    // Of the whole map, so that it fits whatever the width of paper is.
    Object.assign(element.style, {
      left: `${(x / width) * 100}%`, top: `${(y / height) * 100}%`, width: `${(w / width) * 100}%`, height: `${(h / height) * 100}%`,
    });
    element.style.setProperty("--level", Math.min(level, 6));
    element.style.setProperty("--hue", hue);
    if (w < 14 || h < 14) element.classList.add("small");
    if (!opens && w > 16 && w <= 34 && h > 48) element.classList.add("narrow");
    if ((w > 34 && h > 15) || element.classList.contains("narrow")) {
      element.append(make("span", "name", label(node)));
      if (opens ? w > 110 : h > 34 && w > 66) element.append(make("span", "size", size(weight(node))));
    }
    return element;
  }

  function describe(node) {
    const panel = $("panel");
    panel.replaceChildren();
    panel.append(make("p", `fate ${FATES[node.fate]}`, WORDS[node.fate]));
    panel.append(make("h3", "path", node.path));
    const list = panel.appendChild(make("dl"));
    const fact = (term, value) => list.append(make("dt", "", term), make("dd", "", value));
    fact("Size", `${size(node.bytes)}, ${share(node)} of the whole`);
    if (node.children.length || node.folded || node.files > 1) fact("Files", node.files.toLocaleString("en"));
    if (node.fate === PART) fact("Stays", size(node.live));
    if (node.kind) fact("Kind", node.kind);
    if (node.by.length) fact("By the word of", node.by.join(", "));
    if (node.to) fact("Carried to", node.to);
    if (node.inUse) fact("Note", IN_USE);
    if (node.folded) fact("Note", "too many or too small to be shown one by one");
  }

  function hint(event) {
    const element = event.target.closest(".tile");
    tip.hidden = !element;
    if (!element) return;
    const node = element.node;
    describe(node);
    tip.replaceChildren(
      make("b", "path", label(node)), make("span", "", size(node.bytes)),
      make("span", `fate ${FATES[node.fate]}`, WORDS[node.fate] + (node.by.length ? ` by ${node.by.join(", ")}` : "")),
    );
    if (node.inUse) tip.append(make("span", "", IN_USE));
    const right = event.clientX + 16 + tip.offsetWidth > innerWidth;
    tip.style.left = `${Math.max(4, right ? event.clientX - tip.offsetWidth - 12 : event.clientX + 14)}px`;
    tip.style.top = `${Math.min(event.clientY + 16, innerHeight - tip.offsetHeight - 4)}px`;
  }

  function crumbs() {
    const way = [];
    for (let node = here; ; node = nodes[node.parent]) {
      way.unshift(node);
      if (!node.index) break;
    }
    const list = make("ol");
    for (const node of way) {
      const item = list.appendChild(make("li"));
      const button = item.appendChild(make("button", "", label(node)));
      button.type = "button";
      if (node === here) button.setAttribute("aria-current", "location");
      button.addEventListener("click", () => open(node));
    }
    $("crumbs").replaceChildren(list);
  }

  function contents() {
    const place = $("where");
    place.textContent = here.path;
    const body = place.closest("table").tBodies[0];
    const children = here.children.filter(isShown).sort((a, b) => !!a.folded - !!b.folded || weight(b) - weight(a) || a.index - b.index);
    body.replaceChildren(...children.slice(0, LISTED).map((node) => {
      const row = make("tr");
      const name = row.appendChild(make("th"));
      name.scope = "row";
      if (node.children.length) {
        const button = name.appendChild(make("button", "path", label(node) + "/"));
        button.type = "button";
        button.addEventListener("click", () => open(node));
      } else name.append(make(node.folded ? "span" : "code", "", label(node)));
      row.append(make("td", "number", size(weight(node))), make("td", "number", node.files.toLocaleString("en")));
      row.appendChild(make("td")).append(make("span", `fate ${FATES[node.fate]}`, WORDS[node.fate]));
      row.append(make("td", "", node.by.join(", ")), make("td", "", node.to || ""));
      return row;
    }));
    if (children.length > LISTED) {
      const cell = body.appendChild(make("tr")).appendChild(make("td", "", `and ${(children.length - LISTED).toLocaleString("en")} more: search finds them`));
      cell.colSpan = 6;
    }
  }

  // The directory in view is in the address, so that the browser's own way
  // back works, and a place can be passed on.
  function address(node) {
    return "#at=" + encodeURIComponent(node.path);
  }
  function open(node, from) {
    if (!node.children.length) node = nodes[node.parent];
    if (node === here) return;
    origin = from ? from.getBoundingClientRect() : null;
    location.hash = address(node);
  }
  function arrive() {
    let path = "/";
    try {
      if (location.hash.startsWith("#at=")) path = decodeURIComponent(location.hash.slice(4));
    } catch { /* An address that somebody wrote by hand: the root. */ }
    const node = byPath.get(path) || root;
    const left = here;
    here = node;
    const keyboard = map.contains(document.activeElement);
    show();
    if (keyboard) {
      const tiles = [...map.querySelectorAll(".tile")];
      (tiles.find((element) => element.node === left) || tiles[0])?.focus({ preventScroll: true });
    }
    if (origin && !matchMedia("(prefers-reduced-motion: reduce)").matches) {
      const whole = map.getBoundingClientRect();
      const start = `translate(${origin.left - whole.left}px, ${origin.top - whole.top}px) scale(${origin.width / whole.width}, ${origin.height / whole.height})`;
      map.animate([{ transform: start, opacity: 0.5 }, { transform: "none", opacity: 1 }], { duration: 220, easing: "ease-out" });
    }
    origin = null;
  }
  function show() {
    crumbs();
    contents();
    draw();
    describe(here);
    tip.hidden = true;
  }

  // The search shows where the matches are: what neither matches, nor leads to a
  // match, nor lies in one, is dimmed.
  function search() {
    const wanted = $("search").value.toLowerCase();
    const found = $("found");
    found.replaceChildren();
    matches = null;
    if (wanted) {
      matches = new Set();
      const hits = nodes.filter((node) => node.index && !node.folded && node.path.toLowerCase().includes(wanted));
      for (const hit of hits) {
        for (let node = hit; !matches.has(node.index); node = nodes[node.parent]) matches.add(node.index);
      }
      hits.sort((a, b) => (a.fate === DELETE) - (b.fate === DELETE) || b.bytes - a.bytes);
      found.append(make("p", "", !hits.length ? "Nothing has this in its path."
        : `${hits.length.toLocaleString("en")} found${hits.length > FOUND ? `, of which the first ${FOUND}` : ""}:`));
      const list = found.appendChild(make("ul"));
      for (const hit of hits.slice(0, FOUND)) {
        const button = list.appendChild(make("li")).appendChild(make("button", FATES[hit.fate]));
        button.type = "button";
        button.append(make("span", "path", hit.path), make("span", "size", size(hit.bytes)));
        button.addEventListener("click", () => reveal(hit));
      }
    }
    mark();
  }
  function mark() {
    for (const element of map.querySelectorAll(".tile")) element.classList.toggle("dim", !!matches && !matches.has(element.node.index));
  }
  function reveal(node) {
    here = nodes[node.parent];
    history.replaceState(null, "", address(here));
    show();
    describe(node);
    [...map.querySelectorAll(".tile")].find((element) => element.node === node)?.focus({ preventScroll: true });
  }

  // The nearest tile in a direction, by the centres; sideways counts double.
  function neighbour(from, dx, dy) {
    let best = null, least = Infinity;
    for (const element of map.querySelectorAll(".tile")) {
      const x = element.center[0] - from.center[0], y = element.center[1] - from.center[1];
      const ahead = x * dx + y * dy, aside = Math.abs(x * dy) + Math.abs(y * dx);
      const distance = ahead + 2 * aside;
      if (element !== from && ahead > 1 && distance < least) [best, least] = [element, distance];
    }
    return best;
  }

  map.addEventListener("pointermove", hint);
  map.addEventListener("pointerleave", () => (tip.hidden = true));
  map.addEventListener("focusin", (event) => {
    const element = event.target.closest(".tile");
    if (!element) return;
    for (const other of map.querySelectorAll(".tile[tabindex='0']")) other.tabIndex = -1;
    element.tabIndex = 0;
    describe(element.node);
  });
  map.addEventListener("click", (event) => {
    const element = event.target.closest(".tile");
    if (element && element.node.children.length) open(element.node, element);
    else if (element) describe(element.node);
  });
  map.addEventListener("keydown", (event) => {
    const element = event.target.closest(".tile");
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (!element || event.altKey || event.ctrlKey || event.metaKey) return;
    if (ways[event.key]) neighbour(element, ...ways[event.key])?.focus({ preventScroll: true });
    else if ((event.key === "Enter" || event.key === " ") && element.node.children.length) open(element.node, element);
    else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target === $("search");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      $("search").focus();
    } else if (event.key === "Escape" && typing && $("search").value) {
      $("search").value = "";
      search();
    } else if (event.key === "Escape" && here.index) open(nodes[here.parent]);
  });
  $("search").addEventListener("input", search);
  $("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter") $("found").querySelector("button")?.click();
  });
  for (const choice of document.querySelectorAll("input[name=shown]")) {
    choice.addEventListener("change", () => {
      onlyLive = choice.value === "live" && choice.checked;
      show();
    });
  }
  addEventListener("hashchange", () => {
    // A link to another section leaves the map as it is.
    if (!location.hash || location.hash.startsWith("#at=")) arrive();
  });
  $("explorer").hidden = false;
  new ResizeObserver(draw).observe(map);
  arrive();
})();
