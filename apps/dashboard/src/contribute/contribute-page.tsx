import { decide } from '@pingo/contributor/browser'
import { useEffect } from 'react'
import { Section } from '../components/section.tsx'
import { ThemeSwitch } from '../components/theme-switch.tsx'
import { Wordmark } from '../components/wordmark.tsx'
import { useTheme } from '../hooks/use-theme.ts'
import { Facts } from './facts.tsx'
import { OwnerChoices } from './owner-choices.tsx'
import { useCalm } from './use-calm.ts'
import { useContributor } from './use-contributor.ts'
import { useLedger } from './use-ledger.ts'
import { useSigns } from './use-signs.ts'
import { useWakeLock } from './use-wake-lock.ts'
import { useWishes } from './use-wishes.ts'
import { wordsOf } from './words.ts'

const MAX_NAME = 60

/** The page that contributes: a switch, how much, and what comes of it. */
export function ContributePage() {
  const { choice, choose } = useTheme()
  const [wishes, change] = useWishes()
  const signs = useSigns()
  const contributing = useContributor(decide(wishes, signs))
  const { isOn, isLeaving, view } = contributing
  const ledger = useLedger(isOn ? view?.peerId : undefined)
  const words = useCalm(wordsOf(contributing))
  useWakeLock(isOn && wishes.keepAwake, signs.isHidden)
  useEffect(() => {
    document.title = isOn ? `${words.title} – PinGo` : 'Contribute – PinGo'
  }, [isOn, words.title])

  return (
    <>
      <header className="header">
        <div className="frame contribute-frame header-row">
          <a className="home" href="/" aria-label="PinGo: the network">
            <Wordmark />
          </a>
          <span className="contribute-place">Contribute</span>
          <ThemeSwitch choice={choice} choose={choose} />
        </div>
      </header>
      <main className="frame contribute-frame">
        <section className="panel hero" data-tone={words.tone} aria-labelledby="state">
          <div className="hero-words" aria-live="polite" aria-atomic="true">
            <h1 id="state">
              <span className="hero-dot" aria-hidden="true" />
              {words.title}
            </h1>
            <p>{words.sentence}</p>
          </div>
          <button
            type="button"
            className="switch"
            data-on={isOn}
            disabled={isLeaving}
            onClick={() => (isOn ? contributing.stop() : contributing.start(wishes.name.trim() || 'A browser'))}
          >
            {isLeaving ? 'Stopping …' : isOn ? 'Stop' : 'Start'}
          </button>
        </section>
        {isOn && view && (
          <Section title="What it does">
            <Facts view={view} ledger={ledger} />
          </Section>
        )}
        <Section title="How much, and when">
          <OwnerChoices wishes={wishes} change={change} signs={signs} />
        </Section>
        <Section title="Name">
          <div className="panel wishes">
            <div className="wish">
              <label className="name-label" htmlFor="name">
                Shown in the list of contributors
              </label>
              <input
                id="name"
                className="text-input"
                type="text"
                maxLength={MAX_NAME}
                value={wishes.name}
                placeholder="A browser"
                autoComplete="off"
                onChange={(event) => change({ name: event.currentTarget.value })}
                aria-describedby="name-note"
              />
              <p className="wish-note" id="name-note">
                Everybody who sees this fog node sees it. It is taken at the next start.
              </p>
            </div>
          </div>
        </Section>
        <Section title="What it does with this device">
          <ul className="panel promises">
            <li>
              It trains small AI models of other people: it computes, on one core at most, in WebAssembly inside this
              browser. It cannot see your files, other pages or your accounts.
            </li>
            <li>
              It fetches the models’ and data’s parts from this fog node and sends what it computed, usually some
              megabytes a minute, and about 3 MB for the engine the first time.
            </li>
            <li>
              It takes memory, up to a quarter of what the device has and 1 GiB at most, and electricity: a device at
              full intensity gets warm and a battery drains faster.
            </li>
            <li>
              It has an identity of its own, a key that stays in this browser. The fog node sees it, the name above, the
              kind of browser and your network address, as any web server does.
            </li>
            <li>
              Stop, or close the page, and nothing goes on. Stop hands in what is done; a page that is closed loses the
              piece it works on.
            </li>
          </ul>
        </Section>
      </main>
    </>
  )
}
