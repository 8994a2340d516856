import type { SettingsChange, SettingsView, SettingValue } from '@pingo/wire'
import { type FormEvent, useEffect, useId, useState } from 'react'
import { Section } from '../components/section.tsx'
import { bytes } from '../core/format.ts'

interface Props {
  settings: SettingsView
  change: (said: SettingsChange) => Promise<boolean>
}

const GIB = 2 ** 30

/** What is lent and when. Each control writes its one setting, which holds at once. */
export function SettingsForm({ settings: { settings, said, machine, file }, change }: Props) {
  const cores = Number(settings.cpu)
  const share = Math.round((cores / machine.cores) * 100)
  const memory = bytesOf(settings.memory)
  const memoryGib = Math.max(0.25, Math.round((memory / GIB) * 4) / 4)
  const mostMemory = Math.max(0.25, Math.floor((machine.memoryBytes / GIB) * 4) / 4)
  const isDefault = (name: string) => said[name] === undefined
  const field = { said, settings, change }
  return (
    <Section title="What is lent" aside={<span title={file}>holds at once</span>}>
      <div className="panel machine-form">
        <Slider
          label="CPU"
          min={1}
          max={100}
          step={1}
          value={share}
          text={(n) => `${n} % · ${((n / 100) * machine.cores).toFixed(2)} of ${machine.cores} cores`}
          commit={(n) => change({ cpu: `${n}%` })}
        />
        <Slider
          label="Memory"
          min={0.25}
          max={mostMemory}
          step={0.25}
          value={memoryGib}
          text={(n) => `${bytes(n * GIB)} of ${bytes(machine.memoryBytes)}`}
          commit={(n) => change({ memory: `${n * 1024}Mi` })}
        />
        <TextField
          {...field}
          name="disk"
          label="Disk"
          hint={`such as 20GB; ${bytes(machine.freeDiskBytes)} were free at the start`}
        />
        <TextField {...field} name="schedule" label="Schedule" hint="such as mon-fri 18:00-08:00, sat-sun; or always" />
        <TextField
          {...field}
          name="applications"
          label="Pause while these run"
          hint="names of programs, such as zoom,obs; or none"
        />
        <TextField {...field} name="monthly" label="Network a month" hint="such as 50GB; or off" />
        <TextField {...field} name="rate" label="Network at most" hint="such as 2MB/s; or off" />
        <TextField {...field} name="temperature" label="Pause above, °C" hint="such as 80; or off" />
        <fieldset className="machine-toggles">
          <legend className="visually-hidden">When it works</legend>
          <Toggle
            label="Give way to my programs"
            on={settings.when === 'idle'}
            set={(on) => change({ when: on ? 'idle' : 'always' })}
          />
          <Toggle
            label="Only when I am away from the keyboard"
            on={settings.inputIdle !== 'off'}
            set={(on) => change({ inputIdle: on ? '3min' : null })}
          />
          <Toggle label="Work on battery" on={settings.battery !== false} set={(on) => change({ battery: on })} />
          <Toggle
            label="Work on metered networks"
            on={settings.metered === true}
            set={(on) => change({ metered: on })}
          />
        </fieldset>
        <p className="muted machine-note">
          {Object.keys(said).some((name) => !isDefault(name))
            ? 'Settings that you leave empty go back to their default.'
            : 'All by default: a core and 30 % of the free memory stay yours.'}
        </p>
      </div>
    </Section>
  )
}

function Slider(o: {
  label: string
  min: number
  max: number
  step: number
  value: number
  text: (value: number) => string
  commit: (value: number) => unknown
}) {
  const id = useId()
  const [moved, setMoved] = useState<number>()
  // what was set elsewhere shows, unless a hand is on it
  useEffect(() => setMoved(undefined), [o.value])
  const shown = moved ?? o.value
  const commit = () => {
    if (moved !== undefined && moved !== o.value) o.commit(moved)
  }
  return (
    <div className="machine-field">
      <label htmlFor={id}>{o.label}</label>
      <input
        id={id}
        type="range"
        min={o.min}
        max={o.max}
        step={o.step}
        value={shown}
        aria-valuetext={o.text(shown)}
        onChange={(event) => setMoved(Number(event.target.value))}
        onPointerUp={commit}
        onKeyUp={commit}
        onBlur={commit}
      />
      <output htmlFor={id}>{o.text(shown)}</output>
    </div>
  )
}

function TextField({
  name,
  label,
  hint,
  said,
  settings,
  change,
}: {
  name: string
  label: string
  hint: string
  said: SettingsView['said']
  settings: SettingsView['settings']
  change: Props['change']
}) {
  const id = useId()
  const holds = textOf(settings[name])
  const [text, setText] = useState<string>()
  const submit = async (event?: FormEvent) => {
    event?.preventDefault()
    if (text === undefined || text === holds) return setText(undefined)
    if (await change({ [name]: text.trim() === '' ? null : text.trim() })) setText(undefined)
  }
  return (
    <form className="machine-field" onSubmit={submit}>
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        type="text"
        maxLength={500}
        value={text ?? holds}
        aria-describedby={`${id}-hint`}
        onChange={(event) => setText(event.target.value)}
        onBlur={() => submit()}
        autoComplete="off"
        spellCheck={false}
      />
      <span className="muted" id={`${id}-hint`}>
        {said[name] === undefined ? `by default; ${hint}` : hint}
      </span>
    </form>
  )
}

function Toggle({ label, on, set }: { label: string; on: boolean; set: (on: boolean) => Promise<boolean> }) {
  const [pressed, setPressed] = useState<boolean>()
  const shown = pressed ?? on
  const press = async (next: boolean) => {
    setPressed(next) // at once; what became of it shows when the answer is there
    await set(next)
    setPressed(undefined)
  }
  return (
    <label className="machine-toggle">
      <input type="checkbox" checked={shown} onChange={(event) => press(event.target.checked)} />
      {label}
    </label>
  )
}

const textOf = (value: SettingValue | undefined): string =>
  Array.isArray(value) ? value.join(', ') || 'none' : value === undefined ? '' : String(value)

/** A size as the contributor prints it. */
function bytesOf(value: SettingValue | undefined): number {
  const match = /^([\d.]+)(Ki|Mi|Gi|Ti|kB|MB|GB|TB)?$/.exec(String(value))
  if (!match) return 0
  const factors: Record<string, number> = {
    Ki: 2 ** 10,
    Mi: 2 ** 20,
    Gi: 2 ** 30,
    Ti: 2 ** 40,
    kB: 1e3,
    MB: 1e6,
    GB: 1e9,
    TB: 1e12,
  }
  return Number(match[1]) * (factors[match[2] ?? ''] ?? 1)
}
