import { defaultClientConditions, defineConfig } from 'vite'

/** Builds the page into dist/, one script and one style, named by their content. */
export default defineConfig({
  build: { target: 'es2022', modulePreload: false, assetsInlineLimit: 0, reportCompressedSize: false },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  resolve: { conditions: ['@penstock/source', ...defaultClientConditions] },
  // For work on the page: `vite` beside a running gateway.
  server: { proxy: { '/api': 'http://127.0.0.1:8081' } },
})
