// What pages do in the browser. Everything also works without it, but copying, live search and the keyboard.
"use strict";

document.documentElement.classList.add("scripts");

const TYPED = "input, select, textarea, [contenteditable]";

document.addEventListener("alpine:init", () => {
  Alpine.data("frame", () => ({
    open: false,
    going: 0,
    get expanded() {
      return this.open ? "true" : "false";
    },
    toggle() {
      this.open = !this.open;
    },
    // `/` to search, `g` and a letter to go, `?` for help.
    press(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest(TYPED)) return;
      const going = Date.now() - this.going < 1500;
      this.going = 0;
      if (event.key === "g") {
        this.going = Date.now();
      } else if (going) {
        const target = document.querySelector(`#navigation [data-key="${CSS.escape(event.key)}"]`);
        if (target) target.click();
      } else if (event.key === "?") {
        document.getElementById("help").showModal();
      } else if (event.key === "/") {
        event.preventDefault();
        const search = document.querySelector("[data-search]");
        if (search) search.focus();
        else {
          const calls = document.querySelector('#navigation [data-key="c"]');
          if (calls) location.href = `${calls.href}#search`;
        }
      }
    },
  }));

  // A text and a button that copies it; where the page may not (plain http), it selects the text.
  Alpine.data("copy", () => ({
    said: "",
    async copy() {
      const button = this.$el;
      const text = this.$refs.text;
      try {
        await navigator.clipboard.writeText(text.textContent);
        this.said = button.dataset.done;
      } catch {
        getSelection().selectAllChildren(text);
        this.said = document.execCommand("copy") ? button.dataset.done : button.dataset.select;
      }
    },
  }));

  // A form that asks before it sends.
  Alpine.data("ask", () => ({
    ask(event) {
      if (!confirm(this.$el.dataset.question)) event.preventDefault();
    },
  }));
});

// A call opens below its row; the same link closes it again.
document.addEventListener("htmx:beforeRequest", (event) => {
  const link = event.target;
  if (!link.classList?.contains("opens")) return;
  const row = link.closest("tr").nextElementSibling;
  const isOpen = Boolean(row && row.classList.contains("details"));
  if (isOpen) {
    row.remove();
    event.preventDefault();
  }
  link.setAttribute("aria-expanded", String(!isOpen));
});

// htmx leaves a filter's empty fields out of the address, too.
document.addEventListener("htmx:configRequest", (event) => {
  const parameters = event.detail.parameters;
  for (const name of [...new Set(parameters.keys?.() ?? Object.keys(parameters))]) {
    if (parameters[name] === "") delete parameters[name];
  }
});

// A form by GET leaves its empty fields out of the address.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "get") return;
  for (const field of event.target.elements) {
    if (field.name && !field.value) {
      field.disabled = true;
      setTimeout(() => { field.disabled = false; });
    }
  }
});

document.addEventListener("DOMContentLoaded", () => {
  if (location.hash === "#search") document.querySelector("[data-search]")?.focus();
  // The set-up form knows the browser's time zone.
  const zone = document.getElementById("field-time_zone");
  if (zone && !zone.value) zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
});
