/** Files that say what they are with their first bytes. */

import type { FileBytes } from '../decoder.ts'
import { draftParquet } from './parquet-draft.ts'
import type { Draft, Hints } from './proposal.ts'
import type { Sample } from './sample.ts'
import { draftTdms } from './tdms-draft.ts'
import { draftXlsx } from './xlsx-draft.ts'

const starts = (bytes: Uint8Array, text: string): boolean => {
  for (let i = 0; i < text.length; i++) if (bytes[i] !== text.charCodeAt(i)) return false
  return true
}

const refused: [string, string][] = [
  ['\u001f\u008b', 'the file is compressed with gzip: unpack it first'],
  ['\u00d0\u00cf\u0011\u00e0', 'the file is an old Excel or Office document (.xls): save it as .xlsx or as CSV'],
  ['BZh', 'the file is compressed with bzip2: unpack it first'],
  ['\u00fd7zXZ', 'the file is compressed with xz: unpack it first'],
  ['7z\u00bc\u00af', 'the file is a 7-Zip archive: unpack it first'],
  ['\u0028\u00b5\u002f\u00fd', 'the file is compressed with zstd: unpack it first'],
  ['Rar!', 'the file is a RAR archive: unpack it first'],
  ['\u0089HDF', 'the file is HDF5, which is not read: export it as CSV or Parquet'],
  ['MATLAB 5.0', 'the file is a MATLAB file, which is not read: export it as CSV'],
  ['%PDF', 'the file is a PDF document, no data file'],
  ['\u0089PNG', 'the file is a picture (PNG), no data file'],
  ['\u00ff\u00d8\u00ff', 'the file is a picture (JPEG), no data file'],
  ['SQLite format 3', 'the file is an SQLite database: export its table as CSV'],
  ['\u007fELF', 'the file is a program'],
  ['MZ\u0090', 'the file is a program'],
  ['{\\rtf', 'the file is a text document (RTF): save it as plain text'],
  ['<!DOCTYPE html', 'the file is a web page: was the download an error message?'],
  ['<html', 'the file is a web page: was the download an error message?'],
  ['<?xml', 'the file is XML, which is not read: export it as CSV'],
]

/** Drafts of a binary format, one sentence where it is not read, undefined where the bytes may be text. */
export const signatureOf = async (
  sample: Sample,
  file: FileBytes,
  name: string,
  hints: Hints,
): Promise<Draft[] | string | undefined> => {
  const { head } = sample
  if (head.every(byte => byte === 0)) return 'the file holds only zeros: was it written while the power failed?'
  if (starts(head, 'TDSm')) return draftTdms(file, name)
  if (starts(head, 'PAR1')) return draftParquet(file, name, hints)
  if (starts(head, 'PK\u0003\u0004')) return draftXlsx(file, hints)
  if (starts(head, 'TDSh')) return 'the file is the index of a TDMS file (.tdms_index): take the .tdms file beside it'
  const found = refused.find(([mark]) => starts(head, mark))
  return found?.[1]
}
