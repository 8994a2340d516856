import type { Signs } from '@pingo/contributor/browser'
import { percent } from '../core/format.ts'
import { Choice } from './choice.tsx'
import type { Wishes } from './use-wishes.ts'

const PAUSE_OR_NOT = [
  { value: 'pause', label: 'Pause' },
  { value: 'go-on', label: 'Go on' },
] as const
const HIDDEN = [
  { value: 'pause', label: 'Pause' },
  { value: 'slow', label: 'Go slow' },
  { value: 'go-on', label: 'Go on' },
] as const

function batteryNote({ onBattery, batteryShare }: Signs): string {
  if (onBattery === undefined) return 'This browser does not tell about the battery: then it is not looked at.'
  if (!onBattery) return 'Plugged in now.'
  return `On battery now, ${percent(batteryShare, 0)} left. Below 20 % it always pauses.`
}

function meteredNote({ isMetered }: Signs): string {
  if (isMetered === undefined) return 'This browser does not tell: then it is not looked at.'
  return isMetered ? 'Metered, or saving data, now.' : 'Not metered now, as far as the browser tells.'
}

/** What the owner of the device decides: how much, and when not. */
export function OwnerChoices(o: { wishes: Wishes; change: (change: Partial<Wishes>) => void; signs: Signs }) {
  const { wishes, change, signs } = o
  const share = Math.round(wishes.share * 100)
  return (
    <div className="panel wishes">
      <div className="wish">
        <label className="intensity-label" htmlFor="intensity">
          <span>Intensity</span>
          <output htmlFor="intensity">{share}&nbsp;% of one core</output>
        </label>
        <input
          id="intensity"
          type="range"
          min={5}
          max={100}
          step={5}
          value={share}
          aria-valuetext={`${share} per cent of one core`}
          onChange={(event) => change({ share: Number(event.currentTarget.value) / 100 })}
        />
        <p className="wish-note">
          Holds at once. Between two steps of the training it rests, so the device stays cool.
        </p>
      </div>
      <Choice
        name="hidden"
        label="When this page is not in view"
        value={wishes.whenHidden}
        choices={HIDDEN}
        choose={(whenHidden) => change({ whenHidden })}
        note="Phones put pages to sleep that are not in view, whatever is chosen here."
      />
      <Choice
        name="battery"
        label="On battery"
        value={wishes.onBattery}
        choices={PAUSE_OR_NOT}
        choose={(onBattery) => change({ onBattery })}
        note={batteryNote(signs)}
      />
      <Choice
        name="metered"
        label="On a metered connection"
        value={wishes.onMetered}
        choices={PAUSE_OR_NOT}
        choose={(onMetered) => change({ onMetered })}
        note={meteredNote(signs)}
      />
      {'wakeLock' in navigator && (
        <div className="wish">
          <label className="check">
            <input
              type="checkbox"
              checked={wishes.keepAwake}
              onChange={(event) => change({ keepAwake: event.currentTarget.checked })}
            />
            <span>Keep the screen on while contributing</span>
          </label>
        </div>
      )}
    </div>
  )
}
