/** Resident memory of another process, watched while it works. */
import { readFile } from 'node:fs/promises'

export interface MemoryWatch {
  /** MiB, largest seen; 0 where the system does not tell (/proc is missing). */
  peakMiB(): number
  /** MiB, one sample about every 250 ms. */
  samples(): readonly number[]
  stop(): void
}

export const watchMemory = (pid: number): MemoryWatch => {
  const samples: number[] = []
  const look = async () => {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]
    if (kib !== undefined) samples.push(Math.round(Number(kib) / 1024))
  }
  const timer = setInterval(() => void look(), 250)
  return {
    peakMiB: () => Math.max(0, ...samples),
    samples: () => samples,
    stop: () => clearInterval(timer),
  }
}

/** "120 131 133 133": how memory went over the run, in eight steps. */
export const memoryCourse = (samples: readonly number[], steps = 8): string => {
  const at = (i: number) => samples[Math.min(samples.length - 1, Math.floor((i * samples.length) / steps))] ?? 0
  return Array.from({ length: steps }, (_, i) => at(i)).join(' ')
}
