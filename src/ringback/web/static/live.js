// Pages that stay up to date: events come by `/v1/events`. What has come is told in a line, so that nothing moves that is
// being read; parts marked `data-live` are fetched anew where they stand.
"use strict";

(() => {
  const line = document.getElementById("news");
  if (!line) return;
  const { root, retry } = line.dataset;
  const lost = document.getElementById("lost");
  const plurals = new Intl.PluralRules(document.documentElement.lang);
  const ring = { get on() { return localStorage.getItem("ring") === "1" && window.Notification?.permission === "granted"; } };
  let last = "";
  let news = 0;
  let wasLost = false;
  let stream = null;
  let refreshing = 0;

  function tell() {
    const texts = [...line.querySelectorAll("template")];
    const form = texts.find((text) => text.dataset.plural === plurals.select(news)) ?? texts.at(-1);
    const number = new Intl.NumberFormat(document.documentElement.lang).format(news);
    line.querySelector("span").textContent = form.innerHTML.trim().replace("#", number);
    line.hidden = false;
  }

  async function refresh() {
    refreshing = 0;
    const parts = document.querySelectorAll("[data-live][id]");
    if (!parts.length) return;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of parts) {
        const fresh = page.getElementById(part.id);
        const isInUse = part.contains(document.activeElement) || part.querySelector("details[open]");
        if (!fresh || isInUse || fresh.outerHTML === part.outerHTML) continue;
        part.replaceWith(fresh);
        htmx.process(fresh);
      }
    } catch {
      // The line that says that the server is away stands there already.
    }
  }

  function take(event) {
    const { type, data } = event;
    if (!refreshing) refreshing = setTimeout(refresh, 150);
    if (!["call.missed", "call.incoming", "call.outgoing"].includes(type)) return;
    news += 1;
    tell();
    if (type === "call.missed" && ring.on) {
      new Notification(line.dataset.missed, { body: data.name || data.number || line.dataset.hidden, tag: data.guid });
    }
  }

  function read(block) {
    const fields = {};
    for (const row of block.split("\n")) {
      const place = row.indexOf(": ");
      if (place > 0) fields[row.slice(0, place)] = row.slice(place + 2);
    }
    if (fields.id) last = fields.id;
    if (fields.data) take(JSON.parse(fields.data));
  }

  // One stream from its begin to its end; whether another may be tried.
  async function listen(signal) {
    const headers = last ? { "Last-Event-ID": last } : {};
    const answer = await fetch(`${root}/v1/events`, { headers, signal, cache: "no-store" });
    if (answer.status === 410) {
      last = "";
      return true;
    }
    if (!answer.ok) return answer.status === 429 || answer.status >= 500;
    if (wasLost) {
      lost.hidden = true;
      wasLost = false;
      refresh();
    }
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return true;
      const blocks = (text + value).split("\n\n");
      text = blocks.pop();
      blocks.forEach(read);
    }
  }

  async function stay() {
    stream = new AbortController();
    const { signal } = stream;
    while (!signal.aborted) {
      let again = true;
      try {
        again = await listen(signal);
      } catch {
        // The network or the server is away.
      }
      if (signal.aborted || !again) return;
      if (!wasLost) {
        wasLost = true;
        setTimeout(() => { lost.hidden = !wasLost; }, Number(retry));
      }
      await new Promise((done) => { setTimeout(done, Number(retry)); });
    }
  }

  // A browser has six connections to a server: pages that nobody sees leave theirs to others, unless they ring.
  function follow() {
    const wanted = document.visibilityState === "visible" || ring.on;
    if (wanted && (!stream || stream.signal.aborted)) stay();
    if (!wanted && stream) stream.abort();
  }

  document.addEventListener("visibilitychange", follow);
  window.addEventListener("pagehide", () => stream?.abort());
  window.addEventListener("pageshow", follow);
  follow();
})();

document.addEventListener("alpine:init", () => {
  // The switch of the settings page: whether missed calls ring on this device.
  Alpine.data("ring", () => ({
    on: localStorage.getItem("ring") === "1" && window.Notification?.permission === "granted",
    possible: "Notification" in window && window.isSecureContext,
    said: "",
    async turn() {
      const wanted = !this.on;
      if (wanted && (await Notification.requestPermission()) !== "granted") {
        this.said = this.$root.dataset.refused;
        return;
      }
      localStorage.setItem("ring", wanted ? "1" : "0");
      this.on = wanted;
      this.said = "";
    },
    get unable() {
      return !this.possible;
    },
    get off() {
      return this.possible && !this.on;
    },
    get ringing() {
      return this.possible && this.on;
    },
  }));
});
