/** Joins frames of one row each, as lines that arrive one by one make them, to frames of many rows. */
import type { Column, Frame, Origin } from '@penstock/frame'

/** Frames of the same series and columns become one, rows in the order given. Vectors stay as they are. */
export const mergeFrames = (frames: readonly Frame[]): Frame[] => {
  const open = new Map<string, Frame[]>()
  const groups: Frame[][] = []
  for (const frame of frames) {
    const key = mergeable(frame) ? seriesKey(frame) : undefined
    const group = key === undefined ? undefined : open.get(key)
    if (group && reaches(group[0] as Frame, frame)) group.push(frame)
    else {
      const begun = [frame]
      groups.push(begun)
      if (key !== undefined) open.set(key, begun)
    }
  }
  return groups.map(joined)
}

/** Whether the rows of `frame` can be counted from the start of `first`: offsets reach 104 days. */
const reaches = (first: Frame, frame: Frame): boolean => {
  const shift = Number(frame.startNs - first.startNs)
  return frame.offsetsNs.every(offset => Number.isSafeInteger(offset + shift))
}

const mergeable = (frame: Frame): boolean => frame.columns.every(column => column.type !== 'vector')
const seriesKey = ({ site, device, stream, columns, origin }: Frame): string =>
  JSON.stringify([
    site,
    device,
    stream,
    columns.map(c => [c.name, c.type, c.unit]),
    [origin?.source, origin?.file, origin?.generation, origin?.format, origin?.attributes],
  ])

const joined = (frames: Frame[]): Frame => {
  const [first] = frames
  if (!first || frames.length === 1) return first as Frame
  const { startNs } = first
  const offsets = frames.flatMap(frame => {
    const shift = Number(frame.startNs - startNs)
    return Array.from(frame.offsetsNs, offset => offset + shift)
  })
  const columns = first.columns.map((column, i): Column => {
    const values = frames.flatMap(frame => Array.from(frame.columns[i]?.values as ArrayLike<unknown>))
    return { ...column, values } as Column
  })
  const origin = joinedOrigin(frames)
  return { ...first, offsetsNs: Float64Array.from(offsets), columns, ...(origin && { origin }) }
}

const joinedOrigin = (frames: Frame[]): Origin | undefined => {
  const first = frames[0]?.origin
  const last = frames.at(-1)?.origin
  if (!first || !last) return undefined
  return {
    ...first,
    ...(last.lastLine !== undefined && { lastLine: last.lastLine }),
    ...(last.lastByte !== undefined && { lastByte: last.lastByte }),
  }
}
