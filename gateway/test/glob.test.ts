import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createGlob, findFiles } from '../src/glob.ts'
import { tempFolder } from './harness.ts'

describe('createGlob', () => {
  it.each([
    ['*.csv', ['a.csv', 'a.b.csv'], ['a.txt', 'x/a.csv', '.a.csv', 'acsv']],
    ['data?.csv', ['data1.csv'], ['data.csv', 'data12.csv']],
    ['run[0-9].csv', ['run7.csv'], ['runx.csv']],
    ['run[!0-9].csv', ['runx.csv'], ['run7.csv']],
    ['*.{csv,txt}', ['a.csv', 'a.txt'], ['a.lta', 'a.{csv,txt}']],
    ['**/*.csv', ['a.csv', 'x/a.csv', 'x/y/a.csv'], ['x/a.txt', '.x/a.csv', 'x/.a.csv']],
    ['x/**', ['x/a', 'x/y/z'], ['y/a']],
    ['x/*/a', ['x/1/a'], ['x/a', 'x/1/2/a']],
    ['.*', ['.hidden'], ['shown']],
    ['a+b (1).csv', ['a+b (1).csv'], ['aab 1.csv']],
    ['a-b.csv', ['a-b.csv'], ['a.b.csv']],
    ['日本*.csv', ['日本語.csv'], ['本.csv']],
  ])('%s', (pattern, fit, other) => {
    const glob = createGlob([pattern])
    for (const path of fit) expect(glob.matches(path), path).toBe(true)
    for (const path of other) expect(glob.matches(path), path).toBe(false)
  })

  it('reaches only into folders in which files may match', () => {
    const glob = createGlob(['a/*/c.csv', 'd/**/e.csv'])
    for (const folder of ['', 'a', 'a/b', 'd', 'd/x/y']) expect(glob.reaches(folder), folder).toBe(true)
    for (const folder of ['b', 'a/b/c', '.git']) expect(glob.reaches(folder), folder).toBe(false)
  })
})

describe('findFiles', () => {
  it('lists regular files and links to them, and tells what it could not see', async () => {
    const { path, remove } = await tempFolder()
    try {
      await mkdir(join(path, 'x/y'), { recursive: true })
      for (const name of ['a.csv', 'x/b.csv', 'x/y/c.csv', 'x/c.txt']) await writeFile(join(path, name), name)
      await symlink('a.csv', join(path, 'link.csv'))
      await symlink('nowhere', join(path, 'broken.csv'))
      await symlink('.', join(path, 'loop'))
      const found = await findFiles(path, createGlob(['**/*.csv']), 100)
      expect(found.files.map(file => file.path).sort()).toEqual(['a.csv', 'link.csv', 'x/b.csv', 'x/y/c.csv'])
      expect(found.folders.sort()).toEqual(['', 'x', 'x/y'])
      expect(found.problems).toEqual([])
      const few = await findFiles(path, createGlob(['**/*.csv']), 1)
      expect(few.files).toHaveLength(1)
      expect(few.problems[0]).toMatch(/more than 1 files/)
      const file = await findFiles(join(path, 'a.csv'), createGlob(['*']), 1)
      expect(file.problems[0]).toMatch(/is not a folder$/)
    } finally {
      await remove()
    }
  })
})
