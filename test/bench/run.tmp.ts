import { readTdms } from './tdms-reader.ts'
process.stdout.write(JSON.stringify(await readTdms(process.argv[2] ?? '')) + '\n')
