// The page for developers: a pasted key stands in all lines, and a request is sent from here.
"use strict";

document.addEventListener("alpine:init", () => {
  Alpine.data("examples", () => ({
    init() {
      const field = document.getElementById("field-paste");
      if (!field) return;
      const lines = [...this.$root.querySelectorAll("pre code")].map((line) => [line, line.textContent]);
      field.addEventListener("input", () => {
        for (const [line, text] of lines) {
          line.textContent = text.replace("YOUR_API_KEY", field.value.trim() || "YOUR_API_KEY");
        }
      });
    },
  }));

  Alpine.data("request", () => ({
    answered: false,
    status: "",
    time: "",
    body: "",
    init() {
      for (const hidden of this.$root.querySelectorAll("[hidden]")) hidden.hidden = false;
    },
    async send(event) {
      event.preventDefault();
      const form = event.target;
      const { path, parameters, key } = Object.fromEntries(new FormData(form));
      const started = performance.now();
      try {
        const answer = await fetch(`${form.dataset.root}${path}?${parameters}`, {
          headers: { Authorization: `Bearer ${key.trim()}` }, credentials: "omit",
        });
        const text = await answer.text();
        this.status = `${answer.status} ${answer.statusText}`;
        this.body = JSON.stringify(JSON.parse(text), null, 2);
      } catch (error) {
        this.status = String(error);
        this.body = "";
      }
      this.time = `${Math.round(performance.now() - started)} ms`;
      this.answered = true;
    },
  }));
});
