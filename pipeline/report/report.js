"use strict";
// Each picture is in the page once; the wipe and the difference show the same two again.
document.documentElement.classList.add("scripted");
const wide = matchMedia("(min-width: 60rem)").matches;
for (const figure of document.querySelectorAll("figure.moment")) {
  const from = (name) => figure.querySelector(`img[data-is="${name}"]`).src;
  for (const copy of figure.querySelectorAll("img[data-of]")) copy.src = from(copy.dataset.of);
  const slider = figure.querySelector("input");
  const move = () => {
    figure.style.setProperty("--wipe", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", `source on the left ${slider.value} %, result on the rest`);
  };
  // Beside the source the result is shown whole; alone, half of each.
  slider.value = wide ? 0 : 50;
  slider.addEventListener("input", move);
  move();
}
