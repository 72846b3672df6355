/** One cause: its rows, what is wrong with them, what would come of a correction, and what is decided. */
import { useEffect, useState } from 'preact/hooks'
import { get, getReject, type Recipe, type Reject, type RejectGroup, type RejectState } from '../api.ts'
import type { LiveLine } from '../live.ts'
import { Choice, Notice } from '../parts.tsx'
import { go, Link } from '../router.tsx'
import { Correct } from './correct.tsx'
import { Dismiss } from './dismiss.tsx'
import type { Fix } from './fix.ts'
import { CauseFoot } from './groups.tsx'
import { useName } from './name.tsx'
import { Bytes, countText, quarantineUrl, states, t, timeText, useChanges } from './parts.tsx'

const perPage = 10
const rowsMax = 1000

interface Loaded {
  group: RejectGroup | undefined
  recipe: Recipe | null
}

export const Group = ({
  id,
  state,
  fix,
  live,
}: {
  id: string
  state: RejectState
  fix: Fix | undefined
  live: LiveLine
}) => {
  const [loaded, setLoaded] = useState<Loaded>()
  const [error, setError] = useState<string>()
  const [changes, again] = useChanges(live)
  const [name, onName] = useName()
  useEffect(() => {
    const abort = new AbortController()
    loadGroup(id, abort.signal).then(
      answer => {
        setLoaded(answer)
        setError(undefined)
      },
      (cause: Error) => !abort.signal.aborted && setError(cause.message),
    )
    return () => abort.abort()
  }, [id, changes])
  const group = loaded?.group
  useEffect(() => {
    document.title = `${group?.reason ?? t.title} · Penstock`
  }, [group?.reason])
  return (
    <>
      <p class="crumb">
        <Link to={quarantineUrl({ state })}>← {t.back}</Link>
      </p>
      {error !== undefined && (
        <Notice title={t.failed} onRetry={again}>
          {error}
        </Notice>
      )}
      {!loaded && error === undefined && <span class="skeleton chart-place" />}
      {loaded && !group && <Notice title={t.unknown[0]}>{t.unknown[1]}</Notice>}
      {loaded && group && (
        <>
          <h1 class="cause-title">{group.reason}</h1>
          <CauseFoot group={group} />
          <div class="states">
            <Choice
              label={t.state}
              value={state}
              options={states.map(value => ({ value, text: `${t.states[value]} ${countText(group[value])}` }))}
              onChange={value => go(quarantineUrl({ state: value, group: id }), { replace: true })}
            />
          </div>
          <Rows {...{ id, state, changes }} />
          <Correct
            key={`${id} ${state}`}
            {...{ group, recipe: loaded.recipe, state, fix, changes, name, onName, onDone: again }}
          />
          {state === 'open' && group.open > 0 && <Dismiss {...{ group, name, onName, onDone: again }} />}
        </>
      )}
    </>
  )
}

const loadGroup = async (id: string, signal: AbortSignal): Promise<Loaded> => {
  const { groups } = await get('/v1/rejects/groups', { group: id }, signal)
  const [group] = groups
  const recipe = group ? (await getReject(group.example.id, signal)).recipe : null
  return { group, recipe }
}

const Rows = ({ id, state, changes }: { id: string; state: RejectState; changes: number }) => {
  const [rows, setRows] = useState<{ rejects: readonly Reject[]; more: boolean }>()
  const [limit, setLimit] = useState(perPage)
  useEffect(() => {
    const abort = new AbortController()
    // Where it fails, the group above says it and asks again.
    get('/v1/rejects', { group: id, state, limit }, abort.signal).then(
      answer => setRows({ rejects: answer.rejects, more: answer.next !== null }),
      () => {},
    )
    return () => abort.abort()
  }, [id, state, limit, changes])
  if (!rows) return <span class="skeleton tall" />
  if (rows.rejects.length === 0) return <Notice title={t.empty[state][0]}>{t.empty[state][1]}</Notice>
  return (
    <section class="panel rows" aria-label={t.examples}>
      <ul>
        {rows.rejects.map(reject => (
          <Row key={reject.id} reject={reject} />
        ))}
      </ul>
      {rows.more && limit < rowsMax && (
        <button type="button" onClick={() => setLimit(Math.min(rowsMax, limit * 4))}>
          {t.more}
        </button>
      )}
    </section>
  )
}

const Row = ({ reject }: { reject: Reject }) => {
  const { origin, settled, state } = reject
  const by = settled?.by ? t.by(settled.by) : ''
  return (
    <li>
      <Bytes {...reject} />
      <p class="quiet small">
        {t.place(origin.file ?? origin.source, origin.firstLine)} · {timeText(reject.at ?? reject.receivedAt)}
        {reject.cut && <span class="warn"> · {t.cut}</span>}
      </p>
      {settled && (
        <p class="small">
          {state === 'replayed'
            ? t.settledReplayed(timeText(settled.at), by)
            : t.settledDismissed(timeText(settled.at), by, settled.reason ?? '')}
        </p>
      )}
    </li>
  )
}
