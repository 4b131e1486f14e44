-- Drives a headless Neovim, as a person would drive it with keys: what the language server answers is what the editor
-- shows. Says "all seen" at the end; anything else is a failure.
local function fail(what)
  io.stderr:write("NOT SEEN: " .. what .. "\n")
  vim.cmd("cquit 1")
end

local function await(what, seen)
  if not vim.wait(20000, seen, 20) then
    fail(what)
  end
  io.stdout:write("seen: " .. what .. "\n")
end

local ok, problem = pcall(function()
  vim.cmd("edit playbooks/a.rhai")
  vim.bo.filetype = "rhai"
  local buffer = vim.api.nvim_get_current_buf()
  local client = vim.lsp.start_client({
    name = "host",
    cmd = { vim.env.HOST_BINARY, "lsp" },
    root_dir = vim.fn.getcwd(),
  })
  vim.lsp.buf_attach_client(buffer, client)

  local function messages()
    local found = {}
    for _, diagnostic in ipairs(vim.diagnostic.get(buffer)) do
      table.insert(found, string.format("%d:%d %s", diagnostic.lnum + 1, diagnostic.col + 1, diagnostic.message))
    end
    return found
  end
  await("the misspelt function is marked", function()
    return table.concat(messages(), "\n"):find("kv::gett", 1, true) ~= nil
  end)
  io.stdout:write("  " .. table.concat(messages(), "\n  ") .. "\n")

  local function ask(method, extra)
    local params = vim.lsp.util.make_position_params(0, "utf-16")
    local answers = vim.lsp.buf_request_sync(buffer, method, vim.tbl_extend("force", params, extra or {}), 20000)
    for _, answer in pairs(answers or {}) do
      return answer.result
    end
  end

  -- Type a statement, and take what is offered.
  vim.api.nvim_buf_set_lines(buffer, 3, 3, false, { "kv::incr" })
  vim.api.nvim_win_set_cursor(0, { 4, 8 })
  local offered = ask("textDocument/completion")
  local labels = {}
  for _, item in ipairs(offered.items) do
    table.insert(labels, item.label)
  end
  io.stdout:write("  offered after `kv::incr`: " .. table.concat(labels, ", ") .. "\n")
  await("`increment` is offered", function()
    return vim.tbl_contains(labels, "increment")
  end)
  vim.bo.omnifunc = "v:lua.vim.lsp.omnifunc"
  vim.api.nvim_feedkeys(vim.api.nvim_replace_termcodes("A<C-x><C-o>", true, false, true), "tx", false)
  vim.api.nvim_buf_set_lines(buffer, 3, 4, false, {})

  -- Correct the misspelling with the fix that is offered.
  vim.api.nvim_win_set_cursor(0, { 2, 16 })
  local start = { line = 1, character = 16 }
  local actions = ask("textDocument/codeAction", { range = { start = start, ["end"] = start }, context = { diagnostics = {} } })
  io.stdout:write("  offered as a fix: " .. actions[1].title .. "\n")
  vim.lsp.util.apply_workspace_edit(actions[1].edit, "utf-16")
  await("the mark is gone once it is corrected", function()
    return table.concat(messages(), "\n"):find("gett", 1, true) == nil
  end)

  local hover = ask("textDocument/hover")
  io.stdout:write("  hover: " .. vim.split(hover.contents.value, "\n")[2] .. "\n")
  await("hover tells the signature", function()
    return hover.contents.value:find("kv::get(key: string)", 1, true) ~= nil
  end)

  vim.api.nvim_win_set_cursor(0, { 2, 4 })
  vim.lsp.buf.rename("pace")
  await("the variable is renamed where it is used", function()
    return table.concat(vim.api.nvim_buf_get_lines(buffer, 0, -1, false), "\n"):find("${pace}", 1, true) ~= nil
  end)

  local edits = ask("textDocument/formatting", { options = { tabSize = 4, insertSpaces = true } })
  vim.lsp.util.apply_text_edits(edits, buffer, "utf-16")
  await("the line is formatted", function()
    return vim.api.nvim_buf_get_lines(buffer, 1, 2, false)[1] == 'let pace = kv::get("speed");'
  end)
  io.stdout:write("  " .. table.concat(vim.api.nvim_buf_get_lines(buffer, 0, -1, false), "\n  ") .. "\n")
  vim.lsp.stop_client(client)
  io.stdout:write("all seen\n")
end)
if not ok then
  fail(tostring(problem))
end
vim.cmd("qall!")
