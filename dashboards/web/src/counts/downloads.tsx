/** The very rows that are shown, as files. */
import { type Format, formats } from '../api.ts'
import { texts } from '../texts.ts'

const names: Record<Format, string> = { csv: 'CSV', parquet: 'Parquet', json: 'JSON' }

export const Downloads = ({ addressOf }: { addressOf(format: Format): string }) => (
  <p class="count-downloads quiet small">
    {texts.counts.download}
    {formats.map(format => (
      <a key={format} href={addressOf(format)} download aria-label={`${texts.counts.download} ${names[format]}`}>
        {names[format]}
      </a>
    ))}
  </p>
)
