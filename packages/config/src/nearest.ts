/** The candidate that a mistyped name most likely meant, or `undefined` where none is near. */
export const nearestName = (name: string, candidates: Iterable<string>): string | undefined => {
  const wanted = name.slice(0, nameCharsMax).toLowerCase()
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(wanted.length / 2.5)) + 1
  for (const candidate of candidates) {
    const had = candidate.toLowerCase()
    if (Math.abs(had.length - wanted.length) >= bestDistance && !had.endsWith(`/${wanted}`)) continue
    const distance = had.endsWith(`/${wanted}`) ? 0.5 : editDistance(wanted, had)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

const nameCharsMax = 64

/** Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours count one each. */
const editDistance = (a: string, b: string): number => {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1)
      }
      row.push(cost)
    }
    beforeLast = last
    last = row
  }
  return last[b.length] ?? 0
}
