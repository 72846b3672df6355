/** What is shown, to be chosen: store and door, days and hours. All of it stands in the address. */
import type { Site } from '../api.ts'
import { hourText, weekdayNames, weekdayText } from '../format.ts'
import { Choice } from '../parts.tsx'
import { texts } from '../texts.ts'
import { lastSaturday, type Range } from './range.ts'
import { dayChoices, type Hours, type View } from './url.ts'
import type { Door } from './use-doors.ts'

const t = texts.counts.filters

export interface PickersProps {
  stores: readonly Site[]
  view: View
  /** undefined: no store is chosen yet, or its doors are being read. */
  doors: readonly Door[] | undefined
  onView(next: Partial<View>): void
}

/** Whose counts: a store, then all of its doors or one. */
export const Pickers = ({ stores, view, doors, onView }: PickersProps) => (
  <div class="count-row count-pickers">
    <label class="count-field">
      <span>{t.store}</span>
      <select
        aria-label={t.store}
        value={stores.some(s => s.id === view.store) ? view.store : ''}
        onChange={event => onView({ store: event.currentTarget.value || undefined })}
      >
        <option value="">{t.storePrompt}</option>
        {stores.map(store => (
          <option key={store.id} value={store.id}>
            {store.name}
          </option>
        ))}
      </select>
    </label>
    <label class="count-field">
      <span>{t.door}</span>
      <select
        aria-label={t.door}
        disabled={!doors}
        value={view.door ?? ''}
        onChange={event => onView({ door: event.currentTarget.value || undefined })}
      >
        <option value="">{t.allDoors}</option>
        {doors?.map(door => (
          <option key={door.id} value={door.id}>
            {door.name}
          </option>
        ))}
      </select>
    </label>
  </div>
)

export interface FiltersProps {
  view: View
  range: Range
  today: string
  hours: Hours
  onView(next: Partial<View>): void
}

/** Which days and hours of it. */
export const Filters = ({ view, range, today, hours, onView }: FiltersProps) => (
  <section class="count-filters" aria-label={t.label}>
    <div class="count-row">
      <Choice
        label={t.resolution}
        value={view.resolution}
        options={[
          { value: 'day', text: t.day },
          { value: 'hour', text: t.hour },
        ]}
        onChange={next => onView({ resolution: next, days: 0 })}
      />
      <Weekdays value={view.weekdays} onChange={weekdays => onView({ weekdays })} />
      {view.resolution === 'hour' && <HourFields value={hours} onChange={next => onView({ hours: next })} />}
    </div>
    <Dates {...{ view, range, today, onView }} />
  </section>
)

const Dates = ({ view, range, today, onView }: Omit<FiltersProps, 'hours'>) => {
  const { first, last, from, to } = range
  const saturday = lastSaturday(range, today)
  const explicit = view.from !== undefined || view.to !== undefined
  const all = explicit && from === first && to === last
  const choose = (edge: 'from' | 'to', date: string) => {
    // While a date is typed it passes through years that do not exist here: none of them is a choice.
    if (date < first || date > last) return
    const other = edge === 'from' ? (to < date ? date : to) : from > date ? date : from
    const [begin, end] = edge === 'from' ? [date, other] : [other, date]
    // Up to the last day goes on with it.
    onView({ from: begin, to: end === last ? undefined : end })
  }
  return (
    <div class="count-row">
      <label class="count-field">
        <span>{t.from}</span>
        <input type="date" value={from} min={first} max={last} onChange={e => choose('from', e.currentTarget.value)} />
      </label>
      <label class="count-field">
        <span>{t.to}</span>
        <input type="date" value={to} min={first} max={last} onChange={e => choose('to', e.currentTarget.value)} />
      </label>
      <Choice<number | 'all' | 'own'>
        label={t.range}
        value={all ? 'all' : explicit ? 'own' : view.days}
        options={[
          ...dayChoices[view.resolution].map(value => ({ value, text: t.days(value) })),
          { value: 'all', text: t.all },
        ]}
        onChange={next =>
          typeof next === 'number'
            ? onView({ days: next, from: undefined, to: undefined })
            : onView({ from: first, to: undefined })
        }
      />
      {saturday !== undefined && (
        <button
          type="button"
          aria-pressed={from === saturday && to === saturday}
          onClick={() => onView(hoursOfDay(saturday, view))}
        >
          {t.lastSaturday}
        </button>
      )}
    </div>
  )
}

/** A single day, by its hours. */
export const hoursOfDay = (date: string, { weekdays }: View): Partial<View> => {
  const weekday = (new Date(`${date}T00:00:00Z`).getUTCDay() + 6) % 7
  return {
    ...{ resolution: 'hour', from: date, to: date },
    weekdays: weekdays.includes(weekday) ? weekdays : [...weekdays, weekday].sort(),
  }
}

const allHours = Array.from({ length: 24 }, (_, hour) => hour)

const HourFields = ({ value, onChange }: { value: Hours; onChange(next: Hours): void }) => (
  <>
    <label class="count-field">
      <span>{t.hourFrom}</span>
      <select
        aria-label={t.hourFrom}
        value={value.from}
        onChange={event => {
          const from = Number(event.currentTarget.value)
          onChange({ from, to: Math.max(from, value.to) })
        }}
      >
        {allHours.map(hour => (
          <option key={hour} value={hour}>
            {hourText(hour)}
          </option>
        ))}
      </select>
    </label>
    <label class="count-field">
      <span>{t.hourTo}</span>
      <select
        aria-label={t.hourTo}
        value={value.to}
        onChange={event => {
          const to = Number(event.currentTarget.value)
          onChange({ from: Math.min(value.from, to), to })
        }}
      >
        {allHours.map(hour => (
          <option key={hour} value={hour}>
            {hourText(hour)}–{hourText(hour + 1)}
          </option>
        ))}
      </select>
    </label>
  </>
)

const Weekdays = ({ value, onChange }: { value: readonly number[]; onChange(next: number[]): void }) => (
  <fieldset class="weekdays">
    <legend class="hidden">{t.weekdays}</legend>
    {weekdayNames.map((name, day) => (
      <label key={name} class={value.includes(day) ? 'on' : ''} title={name}>
        <input
          type="checkbox"
          aria-label={name}
          checked={value.includes(day)}
          onChange={() => onChange(value.includes(day) ? value.filter(d => d !== day) : [...value, day].sort())}
        />
        {weekdayText(day).slice(0, 2)}
      </label>
    ))}
  </fieldset>
)
