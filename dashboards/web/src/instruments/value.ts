/** Values as the reader's locale writes them, with their unit. */
const plain = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 6 })
const short = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 4 })
const far = new Intl.NumberFormat(undefined, { notation: 'scientific', maximumSignificantDigits: 4 })

const isFar = (value: number): boolean => value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e7)
export const numberText = (value: number): string =>
  (isFar(value) ? far : plain).format(value).replace('-', '−').replace('E-', 'E−')
export const tickText = (value: number): string => (isFar(value) ? far : short).format(value).replace('-', '−')

export const valueText = (value: unknown, unit?: string): string => {
  if (value === null || value === undefined) return '–'
  const text =
    typeof value === 'number' ? numberText(value) : typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value)
  return unit === undefined || unit === '' ? text : `${text} ${unit}`
}
