/** What could not be read, with its reason and its bytes. */
import { faultOf, shownBytes } from '@penstock/web/fault'
import { useEffect, useState } from 'preact/hooks'
import { getRejects, type PassedReject, type Reject } from './api.ts'
import { agoText, wholeText } from './format.ts'
import { Empty, Section } from './parts.tsx'
import { texts } from './texts.ts'
import type { View } from './view.ts'

const rejectsShown = 5
const askMsMin = 1000

export const Rejects = ({ view }: { view: View }) => {
  const { rejects: count, line } = view
  const [rejects, setRejects] = useState<PassedReject[]>([])
  const [all, setAll] = useState(false)
  const [problem, setProblem] = useState<string>()
  useEffect(() => {
    if (count === 0 || line !== 'live') return
    const abort = new AbortController()
    const timer = window.setTimeout(
      () => {
        getRejects(abort.signal).then(
          answer => {
            setRejects(answer.rejects)
            setProblem(undefined)
          },
          (error: Error) => !abort.signal.aborted && setProblem(error.message),
        )
      },
      rejects.length === 0 ? 0 : askMsMin,
    )
    return () => {
      clearTimeout(timer)
      abort.abort()
    }
  }, [count, line])
  return (
    <Section id="rejects" title={texts.rejects} intro={count === 0 ? undefined : texts.rejectsIntro}>
      {count === 0 ? (
        <Empty>{texts.noRejects}</Empty>
      ) : (
        <div class="panel flush">
          <ul class="rejects">
            {rejects.slice(0, all ? rejects.length : rejectsShown).map(reject => (
              <RejectRow key={reject.number} reject={reject} when={agoText(view.nowMs - reject.passedMs)} />
            ))}
          </ul>
          {(problem !== undefined || rejects.length > rejectsShown) && (
            <div class="table-foot">
              <span>{problem ?? wholeText(count)}</span>
              <button type="button" onClick={() => setAll(!all)}>
                {all ? texts.showLess : texts.showAll}
              </button>
            </div>
          )}
        </div>
      )}
    </Section>
  )
}

export const RejectRow = ({ reject, when }: { reject: Reject; when?: string }) => {
  const { source, file, firstLine, firstByte, lastByte } = reject.origin
  return (
    <li>
      <p>
        <strong>{reject.reason}</strong>
      </p>
      <Bytes reject={reject} />
      <p class="quiet small">
        {texts.lineOf(file ?? source, firstLine)}
        {firstByte !== undefined && lastByte !== undefined && (
          <> · {texts.bytesOf(wholeText(firstByte), wholeText(lastByte))}</>
        )}
        {when !== undefined && <> · {when}</>}
      </p>
    </li>
  )
}

/** The bytes, with the part that the reason quotes marked. */
const Bytes = ({ reject }: { reject: Reject }) => {
  const [before, fault, after] = faultOf(reject)
  return (
    <code class="bytes">
      {shownBytes(before)}
      {fault !== '' && <mark>{shownBytes(fault)}</mark>}
      {shownBytes(after)}
    </code>
  )
}
