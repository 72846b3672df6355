/** The files that a source of files would read now, for commands that only look: nothing is opened, moved or remembered. */
import type { SourceOptions } from './config.ts'
import { createGlob, type FoundFile, findFiles, type Glob } from './glob.ts'
import { type DropOptions, dropGlob } from './sources/drop.ts'
import type { TailOptions } from './sources/tail.ts'

export type FileSource = TailOptions | DropOptions

export const isFileSource = (source: SourceOptions): source is FileSource =>
  source.kind === 'tail' || source.kind === 'drop'

/** In the order in which they changed, the latest last; `problems` in plain words. */
export const filesOf = async (source: FileSource): Promise<{ files: FoundFile[]; problems: string[] }> => {
  const { files, problems } = await findFiles(source.folder, globOf(source), source.filesMax)
  const sorted = files.toSorted((a, b) => Number(a.mtimeNs - b.mtimeNs) || (a.path < b.path ? -1 : 1))
  return { files: sorted, problems }
}

const globOf = (source: FileSource): Glob =>
  source.kind === 'drop' ? dropGlob(source) : createGlob([source.pattern].flat())
