/** Text in a fixed width, that scrolls where it is too long or too wide: with the keyboard too, hence in the order of Tab. */
export const Code = ({ label, text }: { label: string; text: string }) => (
  // biome-ignore lint/a11y/noNoninteractiveTabindex: without it nobody scrolls it by keyboard
  <section class="ref-code" aria-label={label} tabIndex={0}>
    <pre>{text}</pre>
  </section>
)

/** A sentence of the document, with what stands in `backticks` as code. */
export const Marked = ({ text }: { text: string }) => (
  <>{text.split('`').map((part, i) => (i % 2 === 1 ? <code key={`${i}`}>{part}</code> : part))}</>
)
