// Renders Markdown files as GitHub shows a job summary, light and dark, as <folder>/<name>-<theme>.png.
// It fails on what a reader would have to scroll sideways for.
//
//   node screenshots.js <folder> <file.md>...

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import markdownIt from 'markdown-it'
import { openBrowser } from './browser.js'

const column = 1012 // pixels: the widest that GitHub makes a summary
const modules = new URL('node_modules/', import.meta.url).pathname
const [folder, ...files] = process.argv.slice(2)

const markdown = markdownIt({ html: true, linkify: true })
markdown.linkify.set({ fuzzyLink: false, fuzzyEmail: false }) // as GitHub, which wants a scheme
const fence = markdown.renderer.rules.fence
markdown.renderer.rules.fence = (tokens, index, ...rest) =>
  tokens[index].info === 'mermaid' ? `<pre class="mermaid">${markdown.utils.escapeHtml(tokens[index].content)}</pre>` : fence(tokens, index, ...rest)

// renderInPage shows a summary in the page and returns what is wider than its column.
async function renderInPage(html, theme) {
  document.body.innerHTML = DOMPurify.sanitize(html, { FORBID_TAGS: ['style', 'form', 'input', 'iframe'], FORBID_ATTR: ['style'] })
  mermaid.initialize({ startOnLoad: false, securityLevel: 'strict', theme: theme === 'dark' ? 'dark' : 'default' })
  await mermaid.run()
  const wide = [...document.querySelectorAll('body, table, pre')].filter((element) => element.scrollWidth > element.clientWidth)
  return wide.map((element) => `${element.tagName.toLowerCase()} of ${element.scrollWidth} pixels: ${element.innerText.replace(/\s+/g, ' ').slice(0, 80)}`)
}

async function takeScreenshot(browser, file, theme) {
  const page = await browser.newPage()
  await page.setViewport({ width: column + 64, height: 300, deviceScaleFactor: 1.5 })
  await page.setContent(`<!doctype html><meta charset="utf-8"><body class="markdown-body">`)
  await page.addStyleTag({ path: join(modules, `github-markdown-css/github-markdown-${theme}.css`) })
  await page.addStyleTag({ content: `body { width: ${column}px; padding: 32px } pre.mermaid { background: none !important; padding: 0 !important }` })
  await page.addScriptTag({ path: join(modules, 'dompurify/dist/purify.min.js') })
  await page.addScriptTag({ path: join(modules, 'mermaid/dist/mermaid.min.js') })
  const wide = await page.evaluate(renderInPage, markdown.render(readFileSync(file, 'utf8')), theme)
  const image = join(folder, `${basename(file, '.md')}-${theme}.png`)
  await page.screenshot({ path: image, fullPage: true })
  await page.close()
  execFileSync('pngquant', ['--force', '--skip-if-larger', '--strip', '--nofs', '--output', image, '32', image])
  return wide
}

mkdirSync(folder, { recursive: true })
const browser = await openBrowser()
for (const file of files) {
  for (const theme of ['light', 'dark']) {
    for (const problem of await takeScreenshot(browser, file, theme)) {
      console.error(`${file}: sideways scroll in a ${problem}`)
      process.exitCode = 1
    }
  }
}
await browser.close()
