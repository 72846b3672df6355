/** A table that scrolls sideways where it is wider than its place, by keyboard too; its first column stays. */
import type { ComponentChildren } from 'preact'

export const Scroller = ({
  label,
  inner = false,
  children,
}: {
  label: string
  /** Stands between others, not at the foot of its panel. */
  inner?: boolean
  children: ComponentChildren
}) => (
  // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
  <section class={inner ? 'table inner' : 'table'} aria-label={label} tabIndex={0}>
    {children}
  </section>
)
