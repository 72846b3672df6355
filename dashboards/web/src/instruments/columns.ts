/** Columns as people look for them: what is measured first, what merely counts the rows last. */
import type { Stream } from './use-catalog.ts'

type Column = Stream['columns'][number]

/** Curves, texts and the status have places of their own. */
const isDrawn = ({ name, type }: Column): boolean =>
  name !== 'status' && (type === 'float' || type === 'int' || type === 'bool')

/** The number of a row, of an image, or the seconds since the start: they rise, whatever is measured. */
const isCounter = ({ name, unit }: Column): boolean =>
  unit === '#' || /(?:^|\W)(?:index|frame)$/i.test(name) || (unit === 's' && /(?:^|\W)time\b/i.test(name))

export const drawable = (stream: Stream): Column[] => {
  const drawn = stream.columns.filter(isDrawn)
  return [...drawn.filter(column => !isCounter(column)), ...drawn.filter(isCounter)]
}

const columnsDefault = 4
/** Of an image: its shape, which a chart says nothing about. */
const isShape = ({ name }: Column): boolean => name === 'width' || name === 'height'
export const isImage = (stream: Stream): boolean => hasCurves(stream) && stream.columns.filter(isShape).length === 2
export const hasCurves = (stream: Stream): boolean => stream.columns.some(c => c.type === 'vector')

/** What is drawn where nobody chose. */
export const usualColumns = (stream: Stream): string[] => {
  const told = drawable(stream).filter(column => !(isImage(stream) && isShape(column)))
  const measured = told.filter(column => !isCounter(column))
  return (measured.length > 0 ? measured : told).slice(0, columnsDefault).map(c => c.name)
}

/** The unit, unless the name holds it already, as in `R1 [ohm]`. */
export const unitBeside = (name: string, unit: string | undefined): string =>
  unit === undefined || name.includes(`[${unit}]`) || name.includes(`(${unit})`) ? '' : unit
