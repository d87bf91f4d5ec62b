// Which paths of the initramfs survive: those that the settings list.

let keep = [];

// Paths are compared as strings with one character for each byte: names need not be UTF-8.
const ofText = (text) => unescape(encodeURIComponent(text));
const ofBytes = (bytes) => String.fromCharCode(...bytes);

// The settings: {"keep": [PATH, ...]}. What is thrown is what the operator reads.
export function configure(json) {
  for (const [name, value] of Object.entries(JSON.parse(json))) {
    if (name !== "keep") {
      throw `there is no setting "${name}", only "keep"`;
    }
    if (!Array.isArray(value) || !value.every((path) => typeof path === "string")) {
      throw `"keep" must be a list of paths`;
    }
    keep = value.map(ofText);
  }
}

// One answer for each entry of a directory, in their order.
export function review(directory, entries) {
  const above = ofBytes(directory).replace(/\/$/, "");
  return entries.map((entry) => {
    const path = `${above}/${ofBytes(entry.name)}`;
    if (keep.includes(path)) {
      return { tag: "keep" };
    }
    const leadsOn = keep.some((kept) => kept.startsWith(`${path}/`));
    return { tag: entry.kind === "directory" && leadsOn ? "descend" : "delete" };
  });
}
