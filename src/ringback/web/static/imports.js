// Files are dropped on the page, and how much of them has been sent is shown.
"use strict";

document.addEventListener("alpine:init", () => {
  Alpine.data("drop", () => ({
    isOver: "false",
    said: "",
    over() {
      this.isOver = "true";
    },
    out() {
      this.isOver = "false";
    },
    take(event) {
      this.isOver = "false";
      if (event.dataTransfer.files.length) this.$refs.files.files = event.dataTransfer.files;
    },
    send(event) {
      event.preventDefault();
      const form = this.$root;
      const bar = this.$refs.bar;
      const request = new XMLHttpRequest();
      request.open("POST", form.action);
      request.setRequestHeader("Accept", "text/html");
      request.upload.onprogress = (sent) => {
        bar.hidden = false;
        bar.value = sent.total ? sent.loaded / sent.total : 0;
      };
      request.onload = () => {
        // The page that the server went on to; or the form again, or an error page, with what is wrong.
        const page = new DOMParser().parseFromString(request.responseText, "text/html");
        if (request.status === 200) {
          const history = page.getElementById("history");
          document.getElementById("history").replaceWith(history);
          htmx.process(history);
          form.reset();
          bar.hidden = true;
          this.said = "";
        } else {
          this.failed((page.querySelector(".wrong:not(:empty)") ?? page.querySelector("main p"))?.textContent);
        }
      };
      request.onerror = () => this.failed("");
      request.send(new FormData(form));
    },
    failed(sentence) {
      this.$refs.bar.hidden = true;
      this.said = sentence || this.$refs.said.dataset.lost;
    },
  }));
});
