import { render } from 'preact'
import { App } from './app.tsx'
import { openLive } from './live.ts'
import '@penstock/web/base.css'
import './style.css'

const root = document.getElementById('app')
if (root) render(<App live={openLive()} />, root)
