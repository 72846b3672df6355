/** The spool and the link: what is kept here, how long it lasts, and what the cloud has said that it has. */
import type { LinkPart, SpoolPart } from './api.ts'
import { agoText, bytesText, plainReason, shortText, spanText, wholeText } from './format.ts'
import { Facts, Section } from './parts.tsx'
import { texts } from './texts.ts'
import type { View } from './view.ts'

export const SpoolAndLink = ({ view }: { view: View }) => (
  <Section id="spool" title={texts.spool} intro={texts.spoolIntro}>
    <div class="grid">
      {view.spool && <SpoolPanel spool={view.spool} nowMs={view.nowMs} />}
      {view.link && <LinkPanel link={view.link} />}
    </div>
  </Section>
)

const SpoolPanel = ({ spool, nowMs }: { spool: SpoolPart; nowMs: number }) => {
  const part = Math.min(1, spool.bytes / spool.bytesMax)
  const level = part > 0.95 ? 'bad' : part > 0.8 ? 'warn' : ''
  const { oldestAt, minutesLeft } = spool
  return (
    <div class="panel">
      <div class="big">
        <b>{bytesText(spool.bytes)}</b> <span class="quiet">{texts.ofMax(bytesText(spool.bytesMax))}</span>
      </div>
      <div class="meter" role="img" aria-label={`${texts.onDisk}: ${shortText(part * 100)} %`}>
        <span class={level} style={{ width: `${Math.max(0.5, part * 100)}%` }} />
      </div>
      <Facts
        of={[
          [
            texts.waiting,
            spool.waiting === 0 ? (
              texts.nothingWaits
            ) : (
              <>
                {texts.entries(wholeText(spool.waiting))}
                {oldestAt !== undefined && `, ${texts.oldest(agoText(nowMs - Date.parse(oldestAt)))}`}
              </>
            ),
          ],
          [texts.comesIn, texts.bytesPerMinute(bytesText(spool.bytesPerMinute))],
          [texts.lasts, minutesLeft === null ? texts.forEver : texts.forSpan(spanText(minutesLeft * 60_000))],
          [texts.lostEntries, spool.lostEntries === 0 ? texts.none : texts.entries(wholeText(spool.lostEntries))],
        ]}
      />
    </div>
  )
}

const LinkPanel = ({ link }: { link: LinkPart }) => (
  <div class="panel">
    <div class={`big link ${link.connected ? 'up' : 'down'}`}>
      <b>{link.connected ? texts.connected : texts.notConnected}</b>
    </div>
    <p class="quiet small path">{link.url}</p>
    <Facts
      of={[
        [texts.stored, link.through === 0 ? texts.notYet : texts.throughEntry(wholeText(link.through))],
        [texts.inFlight, link.inFlightBytes === 0 ? texts.none : bytesText(link.inFlightBytes)],
        [texts.reconnects, link.reconnects === 0 ? texts.none : texts.times(wholeText(link.reconnects))],
        [texts.resends, link.resends === 0 ? texts.none : texts.times(wholeText(link.resends))],
        ...(link.problem !== undefined && !link.connected
          ? ([[texts.problem, plainReason(link.problem)]] as const)
          : []),
      ]}
    />
  </div>
)
