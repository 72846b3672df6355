/** The form in which a person says what is wrong. */
import type { ComponentChildren } from 'preact'
import type { Recipe } from '../api.ts'
import { cellsOf, delimiterOf, type Fix, type Kind, kinds, namesOf } from './fix.ts'
import { t } from './parts.tsx'

interface FormProps {
  fix: Fix
  recipe: Recipe | null
  /** A row, for its cells. */
  example: string
  onFix(fix: Fix): void
}

export const FixForm = (props: FormProps) => {
  const { fix, onFix } = props
  return (
    <div class="fields">
      <label class="field">
        {t.what}
        <select value={fix.kind} onChange={event => onFix({ kind: event.currentTarget.value as Kind })}>
          {kinds.map(kind => (
            <option key={kind} value={kind}>
              {t.kinds[kind]}
            </option>
          ))}
        </select>
      </label>
      <KindFields {...props} />
    </div>
  )
}

const KindFields = (props: FormProps) => {
  const { fix } = props
  const f = t.fields
  switch (fix.kind) {
    case 'decimal':
      return <ColumnField {...props} />
    case 'replace':
      return (
        <>
          <TextField {...props} of="find" label={f.find} />
          <TextField {...props} of="replace" label={f.replace} />
          <ColumnField {...props} anywhere />
          <label class="check">
            <input
              type="checkbox"
              checked={fix.regex === true}
              onChange={event => props.onFix({ ...fix, regex: event.currentTarget.checked })}
            />
            {f.regex}
          </label>
        </>
      )
    case 'nulls':
      return <TextField {...props} of="text" label={f.text} />
    case 'delimiter':
      return <DelimiterField {...props} />
    case 'time':
      return <TextField {...props} of="layout" label={f.layout} hint={layoutHintOf(props.recipe)} />
    case 'place':
      return <PlaceFields {...props} />
    case 'columns':
      return (
        <>
          <TextField {...props} of="names" label={f.names} hint={f.namesHint} wide />
          <DelimiterField {...props} />
          <TextField {...props} of="timeColumn" label={f.timeColumn} />
          <TextField {...props} of="layout" label={f.layout} hint={f.layoutHint} />
          <PlaceFields {...props} />
        </>
      )
    case 'json':
      return (
        <Field label={f.json} wide>
          <textarea
            rows={6}
            spellcheck={false}
            placeholder={f.jsonHint}
            value={fix.json ?? ''}
            onInput={event => props.onFix({ ...fix, json: event.currentTarget.value })}
          />
        </Field>
      )
  }
}

const Field = ({ label, wide = false, children }: { label: string; wide?: boolean; children: ComponentChildren }) => (
  // biome-ignore lint/a11y/noLabelWithoutControl: the control is what it is given
  <label class={wide ? 'field wide' : 'field'}>
    {label}
    {children}
  </label>
)

type TextKey = 'find' | 'replace' | 'text' | 'layout' | 'site' | 'device' | 'stream' | 'zone' | 'names' | 'timeColumn'
const TextField = ({
  fix,
  onFix,
  of,
  label,
  hint,
  wide = false,
}: FormProps & { of: TextKey; label: string; hint?: string; wide?: boolean }) => (
  <Field label={label} wide={wide}>
    <input
      value={fix[of] ?? ''}
      spellcheck={false}
      autocomplete="off"
      {...(hint !== undefined && { placeholder: hint })}
      onInput={event => onFix({ ...fix, [of]: event.currentTarget.value })}
    />
  </Field>
)

const PlaceFields = (props: FormProps) => (
  <>
    <TextField {...props} of="site" label={t.fields.site} {...hintOf(props.recipe?.site)} />
    <TextField {...props} of="device" label={t.fields.device} {...hintOf(props.recipe?.device)} />
    <TextField {...props} of="stream" label={t.fields.stream} {...hintOf(props.recipe?.stream)} />
    <TextField {...props} of="zone" label={t.fields.zone} hint={props.recipe?.zone ?? t.fields.zoneHint} />
  </>
)
/** How times were expected, where that is one layout. */
const layoutHintOf = (recipe: Recipe | null): string => {
  const time = recipe?.format.time as { layout?: unknown } | undefined
  return typeof time?.layout === 'string' ? t.fields.layoutWas(time.layout) : t.fields.layoutHint
}
const hintOf = (hint: string | undefined) => (hint === undefined ? {} : { hint })

const shownMax = 24
/** The columns by number, name and what stands there in the example. */
const ColumnField = ({ fix, recipe, example, onFix, anywhere = false }: FormProps & { anywhere?: boolean }) => {
  const names = namesOf(recipe)
  const cells = cellsOf(example, delimiterOf(recipe))
  return (
    <Field label={t.fields.column}>
      <select
        value={String(fix.column ?? 0)}
        onChange={event => onFix({ ...fix, column: Number(event.currentTarget.value) })}
      >
        <option value="0">{anywhere ? t.fields.anywhere : '–'}</option>
        {cells.map((cell, i) => {
          const value = cell.length > shownMax ? `${cell.slice(0, shownMax)}…` : cell
          return (
            <option key={i} value={String(i + 1)}>
              {`${i + 1}${names[i] ? ` ${names[i]}` : ''}: ${value}`}
            </option>
          )
        })}
      </select>
    </Field>
  )
}

const DelimiterField = ({ fix, onFix }: FormProps) => (
  <Field label={t.fields.delimiter}>
    <select value={fix.delimiter ?? ''} onChange={event => onFix({ ...fix, delimiter: event.currentTarget.value })}>
      <option value="">–</option>
      {Object.entries(t.delimiters).map(([value, text]) => (
        <option key={value} value={value}>
          {text}
        </option>
      ))}
    </select>
  </Field>
)
