// Keeps what is small below some directories: logs and state, but not the core dump beside them.

let directories = [];
let largest = 64;

// Paths are compared as strings with one character for each byte: names need not be UTF-8.
const ofText = (text) => unescape(encodeURIComponent(text));
const ofBytes = (bytes) => String.fromCharCode(...bytes);

const SET_USER_OR_GROUP_ID = 0o6000;

// The settings. What is thrown is what the operator reads.
const read = {
  below(value) {
    const isPath = (path) => typeof path === "string" && /^(\/[^\/]+)+$/.test(path);
    if (!Array.isArray(value) || !value.every(isPath)) {
      throw `"below" must be a list of absolute paths without a slash at the end`;
    }
    directories = value.map(ofText);
  },
  largest_kib(value) {
    if (!Number.isInteger(value) || value < 0) {
      throw `"largest_kib" must be a number of KiB`;
    }
    largest = value;
  },
};

export const settings = {
  configure(json) {
    for (const [name, value] of Object.entries(JSON.parse(json))) {
      if (!Object.hasOwn(read, name)) {
        throw `there is no setting "${name}", only ${Object.keys(read).join(" and ")}`;
      }
      read[name](value);
    }
  },
};

// A directory is looked into where it leads to what is asked for, or is below it.
function decide(above, entry) {
  const path = `${above}/${ofBytes(entry.name)}`;
  const isBelow = directories.some((directory) => path.startsWith(`${directory}/`));
  if (entry.kind === "directory") {
    const leadsOn = directories.some((directory) => `${directory}/`.startsWith(`${path}/`));
    return isBelow || leadsOn ? "descend" : "delete";
  }
  const isSmall = entry.size <= BigInt(largest) * 1024n;
  const isPlain = entry.kind === "regular" && !(entry.mode & SET_USER_OR_GROUP_ID);
  return isBelow && isPlain && isSmall ? "keep" : "delete";
}

export const preservation = {
  review(directory, entries) {
    const above = ofBytes(directory).replace(/\/$/, "");
    return entries.map((entry) => ({ tag: decide(above, entry) }));
  },
};
