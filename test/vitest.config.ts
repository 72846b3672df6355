import { defineConfig } from 'vitest/config'

/** All tests of the house, run from its top. Sources are read as they are: nothing is built first. */
export default defineConfig({
  resolve: { conditions: ['@penstock/source'] },
  ssr: { resolve: { conditions: ['@penstock/source'] } },
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: process.env.PENSTOCK_FAULTS
      ? ['test/faults/*.fault.ts']
      : ['{packages/*,gateway,cloud,dashboards/{web,gateway}}/test/**/*.test.ts', 'test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    reporters: ['default'],
  },
})
