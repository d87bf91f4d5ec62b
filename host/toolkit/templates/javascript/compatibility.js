// Which system extensions may be activated: none whose name another one has, too.

export function review(host, extensions) {
  return extensions.map((one) => {
    const twin = extensions.find((other) => other.image !== one.image && other.name === one.name);
    return twin
      ? { tag: "incompatible", val: `${one.name} is also the name of ${twin.image}` }
      : { tag: "abstain" };
  });
}
