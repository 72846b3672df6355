/** Text in a fixed width, that scrolls where it is too long or too wide: with the keyboard too, hence in the order of Tab. */
export const Code = ({ label, text }: { label: string; text: string }) => (
  // biome-ignore lint/a11y/noNoninteractiveTabindex: without it nobody scrolls it by keyboard
  <section class="ref-code" aria-label={label} tabIndex={0}>
    <pre>{text}</pre>
  </section>
)
