/** Small parts that several sections share. */
import type { ComponentChildren } from 'preact'
import { useId } from 'preact/hooks'

export const Section = (props: {
  id: string
  title: string
  intro?: string | undefined
  children: ComponentChildren
}) => (
  <section id={props.id} aria-labelledby={`${props.id}-title`}>
    <h2 id={`${props.id}-title`} tabIndex={-1}>
      {props.title}
    </h2>
    {props.intro !== undefined && <p class="intro">{props.intro}</p>}
    {props.children}
  </section>
)

export const Empty = ({ children }: { children: ComponentChildren }) => <p class="panel empty">{children}</p>

/** Facts as pairs of a name and what it is. */
export const Facts = ({ of }: { of: readonly (readonly [string, ComponentChildren])[] }) => (
  <dl class="facts">
    {of.map(([name, value]) => (
      <div key={name}>
        <dt>{name}</dt>
        <dd>{value}</dd>
      </div>
    ))}
  </dl>
)

export const Choice = <T extends string | number>(props: {
  label: string
  value: T
  options: readonly { value: T; text: string }[]
  onChange(value: T): void
}) => {
  const id = useId()
  return (
    <fieldset class="choice">
      <legend class="hidden">{props.label}</legend>
      {props.options.map(({ value, text }) => (
        <label key={value} class={value === props.value ? 'on' : ''}>
          <input type="radio" name={id} checked={value === props.value} onChange={() => props.onChange(value)} />
          {text}
        </label>
      ))}
    </fieldset>
  )
}

export const Select = (props: {
  label: string
  value: string
  options: readonly { value: string; text: string }[]
  onChange(value: string): void
}) => (
  <label class="select">
    <span>{props.label}</span>
    <select value={props.value} onChange={event => props.onChange(event.currentTarget.value)}>
      {props.options.map(({ value, text }) => (
        <option key={value} value={value}>
          {text}
        </option>
      ))}
    </select>
  </label>
)

/** A table that scrolls in its own box where it is wider than the page. */
export const Table = ({ label, children }: { label: string; children: ComponentChildren }) => (
  // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls is reached by the keyboard
  <section class="table" aria-label={label} tabIndex={0}>
    <table>{children}</table>
  </section>
)
