/** The ledger: what each file has amounted to. */
import { useState } from 'preact/hooks'
import { type FilePart, getLedger } from './api.ts'
import { bytesText, timeText, wholeText } from './format.ts'
import { Empty, Section, Table } from './parts.tsx'
import { texts } from './texts.ts'
import { type View, zoneOf } from './view.ts'

const filesShown = 12

export const Files = ({ view }: { view: View }) => {
  const [all, setAll] = useState<FilePart[]>()
  const [problem, setProblem] = useState<string>()
  const count = view.gateway?.files ?? view.files.length
  const shown = all ? latestOf(all, view.files) : view.files.slice(0, filesShown)
  const showAll = (): void => {
    getLedger().then(
      files => {
        setAll(files)
        setProblem(undefined)
      },
      (error: Error) => setProblem(error.message),
    )
  }
  return (
    <Section id="files" title={texts.files}>
      {count === 0 ? (
        <Empty>{texts.noFiles}</Empty>
      ) : (
        <div class="panel flush">
          <Table label={texts.files}>
            <thead>
              <tr>
                <th scope="col">{texts.file}</th>
                <th scope="col">{texts.rowsRead}</th>
                <th scope="col">{texts.rowsStored}</th>
                <th scope="col">{texts.rowsRejected}</th>
                <th scope="col">{texts.size}</th>
                <th scope="col">{texts.times_}</th>
                <th scope="col">{texts.state}</th>
              </tr>
            </thead>
            <tbody>
              {shown.map(file => (
                <FileRow key={keyOf(file)} file={file} zone={zoneOf(view, file.source)} nowMs={view.nowMs} />
              ))}
            </tbody>
          </Table>
          {(count > filesShown || problem !== undefined) && (
            <div class="table-foot">
              <span>{problem ?? texts.shownOf(wholeText(shown.length), wholeText(count))}</span>
              <button type="button" onClick={all ? () => setAll(undefined) : showAll}>
                {all ? texts.showLess : texts.showAll}
              </button>
            </div>
          )}
        </div>
      )}
    </Section>
  )
}

const keyOf = ({ source, file }: FilePart): string => JSON.stringify([source, file])

/** All files as they were asked for, those that changed since as they are now, and first. */
const latestOf = (all: readonly FilePart[], changed: readonly FilePart[]): FilePart[] => {
  const known = new Set(changed.map(keyOf))
  return [...changed, ...all.filter(file => !known.has(keyOf(file)))]
}

const FileRow = ({ file, zone, nowMs }: { file: FilePart; zone: string; nowMs: number }) => (
  <tr>
    <th scope="row">
      {file.file}
      <span class="quiet small"> {file.source}</span>
    </th>
    <td data-label={texts.rowsRead}>{wholeText(file.rowsRead)}</td>
    <td data-label={texts.rowsStored}>{wholeText(file.rowsStored)}</td>
    <td data-label={texts.rowsRejected} class={file.rowsRejected > 0 ? 'rejected' : ''}>
      {wholeText(file.rowsRejected)}
    </td>
    <td data-label={texts.size}>{bytesText(file.bytes)}</td>
    <td data-label={texts.times_}>
      {file.firstTime === undefined || file.lastTime === undefined ? (
        '–'
      ) : (
        <span>
          {timeText(Date.parse(file.firstTime), zone, nowMs)} {texts.to}{' '}
          {timeText(Date.parse(file.lastTime), zone, nowMs)}
          <span class="quiet small"> {zone}</span>
        </span>
      )}
    </td>
    <td data-label={texts.state}>
      <span class={`tag ${file.complete ? 'done' : 'open'}`}>{file.complete ? texts.complete : texts.growing}</span>
    </td>
  </tr>
)
