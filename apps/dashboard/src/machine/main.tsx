import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import '../styles/tokens.css'
import '../styles/base.css'
import '../styles/frame.css'
import '../styles/parts.css'
import '../styles/tables.css'
import '../styles/machine.css'
import { MachineApp } from './app.tsx'

const root = document.getElementById('root')
if (!root) throw new Error('machine.html has no #root')
createRoot(root).render(
  <StrictMode>
    <MachineApp />
  </StrictMode>,
)
