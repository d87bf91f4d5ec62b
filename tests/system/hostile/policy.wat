;; A policy that answers every question: `delete`, `compatible`, and that its settings are
;; well. The tests put other code in the places of the names in double braces.
(component
  (import "switch-root:policy/log@0.1.0" (instance $log
    (type $level' (enum "error" "warn" "info" "debug"))
    (export "level" (type $level (eq $level')))
    (export "log" (func (param "level" $level) (param "message" string)))))

  {{component}}

  ;; What the host needs to hand something over: a memory, and a place in it.
  (core module $heap
    (memory (export "memory") 2)
    (table $table 1 funcref)
    ;; Below 64 KiB is what the policy itself writes.
    (global $top (mut i32) (i32.const 65536))
    (func $recurse (call $recurse))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
      (global.set $top (i32.add (local.get $at) (local.get $size)))
      (loop $more
        (if (i32.gt_u (global.get $top) (i32.mul (memory.size) (i32.const 65536)))
          (then
            (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (unreachable)))
            (br $more))))
      {{realloc}}
      (local.get $at)))
  (core instance $heap (instantiate $heap))
  (alias core export $heap "memory" (core memory $memory))
  (alias core export $heap "realloc" (core func $realloc))
  (core func $log (canon lower (func $log "log") (memory $memory)))

  (core module $policy
    (import "heap" "memory" (memory 1))
    (import "host" "log" (func $log (param $level i32) (param $message i32) (param $length i32)))
    (table $table 1 funcref)
    {{items}}
    (func $recurse (call $recurse))
    ;; The result at 16: no error, and a list that lies at $at.
    (func $list (param $at i32) (param $count i32) (result i32)
      (i32.store (i32.const 16) (i32.const 0))
      (i32.store (i32.const 20) (local.get $at))
      (i32.store (i32.const 24) (local.get $count))
      (i32.const 16))
    ;; The result at 16: an error with a sentence that lies at $at.
    (func $error (param $at i32) (param $length i32) (result i32)
      (drop (call $list (local.get $at) (local.get $length)))
      (i32.store (i32.const 16) (i32.const 1))
      (i32.const 16))
    (func $start {{start}})
    (start $start)
    (func (export "configure") (param $json i32) (param $length i32) (result i32)
      {{configure}}
      (i32.store (i32.const 16) (i32.const 0))
      (i32.const 16))
    (func (export "configure-post") (param i32) {{configure-post}})
    (func (export "preservation") (param $directory i32) (param $length i32) (param $entries i32) (param $count i32) (result i32)
      (local $at i32) (local $i i32)
      {{preservation}}
      (call $list (i32.const 4096) (local.get $count)))
    (func (export "preservation-post") (param i32) {{preservation-post}})
    (func (export "compatibility")
      (param i32 i32 i32 i32 i32 i32 i32 i32) (param $extensions i32) (param $count i32) (result i32)
      {{compatibility}}
      (call $list (i32.const 4096) (local.get $count)))
    (func (export "compatibility-post") (param i32) {{compatibility-post}}))
  (core instance $policy (instantiate $policy
    (with "heap" (instance $heap))
    (with "host" (instance (export "log" (func $log))))))

  ;; The words of the contract.
  (type $file-kind' (enum "regular" "directory" "symlink" "block-device" "character-device" "fifo" "socket"))
  (export $file-kind "file-kind" (type $file-kind'))
  (type $entry' (record (field "name" (list u8)) (field "kind" $file-kind) (field "size" u64) (field "mode" u32) (field "mount-point" bool)))
  (export $entry "entry" (type $entry'))
  (type $decision' (variant (case "delete") (case "keep") (case "carry" (list u8)) (case "descend")))
  (export $decision "decision" (type $decision'))
  (type $host-facts' (record
    (field "os-release" (list (tuple string string)))
    (field "kernel-release" string) (field "architecture" string) (field "kernel-command-line" string)))
  (export $host-facts "host-facts" (type $host-facts'))
  (type $requirement' (record (field "operating-system" string) (field "version" string)))
  (export $requirement "requirement" (type $requirement'))
  (type $extension' (record
    (field "image" string) (field "digest" (option string)) (field "name" string) (field "version" string)
    (field "author" string) (field "description" string) (field "compatibility" (list $requirement)) (field "metadata" string)))
  (export $extension "extension" (type $extension'))
  (type $verdict' (variant (case "compatible") (case "incompatible" string) (case "abstain")))
  (export $verdict "verdict" (type $verdict'))

  (func $configure (param "json" string) (result (result (error string)))
    (canon lift (core func $policy "configure") (memory $memory) (realloc $realloc)
      (post-return (core func $policy "configure-post"))))
  (func $preservation (param "directory" (list u8)) (param "entries" (list $entry)) (result (result (list $decision) (error string)))
    (canon lift (core func $policy "preservation") (memory $memory) (realloc $realloc)
      (post-return (core func $policy "preservation-post"))))
  (func $compatibility (param "host" $host-facts) (param "extensions" (list $extension)) (result (result (list $verdict) (error string)))
    (canon lift (core func $policy "compatibility") (memory $memory) (realloc $realloc)
      (post-return (core func $policy "compatibility-post"))))
  (instance $settings (export "configure" (func $configure)))
  (instance $preservation (export "review" (func $preservation)))
  (instance $compatibility (export "review" (func $compatibility)))
  (export "switch-root:policy/settings@0.1.0" (instance $settings))
  (export "switch-root:policy/preservation@0.1.0" (instance $preservation))
  (export "switch-root:policy/compatibility@0.1.0" (instance $compatibility)))
